"""An index that was copied without its model and sessions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from embedrec.data import Vocab
from embedrec.data.feature_parquet import load_features
from embedrec.index import measure
from embedrec.index.serialization import load_index, load_item_features, save_index
from embedrec.storage import artifacts
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.file_formats import save_vectors
from tests.cli.conftest import Run, succeed

YEARS = {f"i{n}": 1990 + n for n in range(40)}


@pytest.fixture
def indexed_workspace(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder: sessions of 40 items with year, shelf code and name, a model and an index of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(measure, "SINGLE_QUERIES", 2)
    plays = [f"s{s},i{(s * 7 + k * k) % 40},Item {(s * 7 + k * k) % 40}\n" for s in range(60) for k in range(5)]
    Path("plays.csv").write_text("session,item,title\n" + "".join(plays))
    rows = "".join(
        f"i{n},{year},{'old' if year < 2010 else 'new'},00{n % 3}\n" for n, year in enumerate(YEARS.values())
    )
    Path("items.csv").write_text("item,year,shelf,code\n" + rows)
    succeed(run, *["prepare", "table", "plays.csv", "--title", "title", "--item-features", "items.csv", "--name", "p"])
    succeed(run, *["train", "svd", "--set", "dim=4", "--name", "m"])
    succeed(run, *["build-index", "--type", "flat", "--name", "x"])


def remove_folders(*kinds: str) -> None:
    for kind in kinds:
        shutil.rmtree(kind)


def similar(run: Run, *words: str) -> list[str]:
    return [row[2] for row in succeed(run, "similar", "i3", "-n", "39", "--index", "x", *words).rows]


def test_filters_and_names_need_neither_model_nor_sessions(run: Run, indexed_workspace: None) -> None:
    expected = similar(run, "--where", "year>=2010")
    assert set(expected) == {item for item, year in YEARS.items() if year >= 2010}
    remove_folders("models", "sessions")
    assert similar(run, "--where", "year>=2010") == expected
    assert similar(run, "--where", "shelf=new") == expected
    assert set(similar(run, "--where", "code=002")) == {f"i{n}" for n in range(40) if n % 3 == 2}
    (named,) = succeed(run, "similar", "Item 3", "-n", "1", "--index", "x").rows
    assert named[0] == "i3" and named[4].startswith("Item ")
    succeed(run, "export", "out.tsv", "-n", "5", "--index", "x", "--where", "year<1995")
    assert {line.split("\t")[2] for line in Path("out.tsv").read_text().splitlines()[-20:]} <= {
        f"i{n}" for n in range(5)
    }
    assert succeed(run, "verify", "x").rows == [["indexes", "x", "ok"]]


def test_updates_keep_features_and_names(run: Run, indexed_workspace: None) -> None:
    new = Embeddings(np.ones((2, 4), dtype=np.float32), Vocab(["n0", "n1"]), "dot")
    save_vectors(new, Path("new.parquet"))
    Path("gone.txt").write_text("i39\n")
    remove_folders("models", "sessions")
    succeed(run, "update-index", "x", "--add", "new.parquet", "--remove", "gone.txt")
    assert set(similar(run, "--where", "year>=2010")) == {i for i, y in YEARS.items() if y >= 2010} - {"i39"}
    succeed(run, "update-index", "x", "--compact")
    assert set(similar(run, "--where", "year>=2010")) == {i for i, y in YEARS.items() if y >= 2010} - {"i39"}
    assert {"n0", "n1"} & set(similar(run))


def test_a_newer_model_updates_features(run: Run, indexed_workspace: None) -> None:
    """Items that the newer model lacks keep their old features."""
    rows = "".join(f"i{n},{2100 + n},far\n" for n in range(30))
    Path("items.csv").write_text("item,year,shelf\n" + rows)
    Path("plays.csv").write_text(
        "\n".join(line for line in Path("plays.csv").read_text().split("\n") if ",i3" not in line)
    )
    succeed(run, *["prepare", "table", "plays.csv", "--title", "title", "--item-features", "items.csv", "--name", "p"])
    succeed(run, *["train", "svd", "--set", "dim=4", "--name", "m2"])
    succeed(run, *["update-index", "x", "--model", "m2", "--align"])
    remove_folders("models", "sessions")
    assert len(similar(run, "--where", "year>=2100")) > 20
    far = similar(run, "--where", "shelf=far")
    assert far == similar(run, "--where", "year>=2100") and not {"i30", "i35"} & set(far)
    assert {"i30", "i35"} <= set(similar(run, "--where", "year>=2015", "--where", "year<2100"))


def test_an_index_without_features_uses_those_of_the_model(run: Run, indexed_workspace: None) -> None:
    old = artifacts.read(Path("indexes/x"))
    save_index(
        load_index(old), "indexes/x", {k: v for k, v in old.about.items() if k in ("type", "of", "indexed", "seed")}
    )
    assert load_item_features(artifacts.read(Path("indexes/x"))) is None
    assert set(similar(run, "--where", "year>=2010")) == {i for i, y in YEARS.items() if y >= 2010}
    remove_folders("models")
    result = run("similar", "i3", "--index", "x", "--where", "year>=2010")
    assert result.code == 1 and result.err.splitlines()[-1].startswith("embedrec: no model artifact is called 'm'")


def test_an_index_built_without_sessions_has_no_features(run: Run, indexed_workspace: None) -> None:
    remove_folders("sessions")
    result = succeed(run, *["build-index", "--type", "flat", "--name", "x"])
    assert "the index is written without item features, so --where cannot be used with it: " in result.err
    assert len(similar(run)) == 39


def test_an_index_of_answers_keeps_features(run: Run, indexed_workspace: None) -> None:
    succeed(run, *["build-index", "--type", "flat", "--of", "answers", "--name", "a"])
    remove_folders("sessions")
    result = succeed(run, *["recommend", "i3", "i5", "-n", "40", "--index", "a", "--where", "year>=2010"]).rows
    assert {row[1] for row in result} == {i for i, y in YEARS.items() if y >= 2010}


def test_damaged_features_are_refused(run: Run, indexed_workspace: None) -> None:
    from tests.test_corruption import sign

    Path("indexes/x/features.parquet").write_bytes(b"PAR1 no")
    sign(Path("indexes/x"))
    result = run("similar", "i3", "--index", "x", "--where", "year>=2010")
    assert result.code == 1 and "features.parquet is not a Parquet file" in result.err


def test_the_index_contains_the_features_of_all_items(run: Run, indexed_workspace: None) -> None:
    result = load_features(Path("indexes/x/features.parquet"))
    assert set(result.vocab.ids.tolist()) == set(YEARS)
    assert json.loads(Path("indexes/x/manifest.json").read_text())["files"].keys() >= {"features.parquet"}
