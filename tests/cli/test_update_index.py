"""`update-index`: items are added, removed and replaced, from files and from models."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from embedrec.data import Vocab
from embedrec.index import measure
from embedrec.index.serialization import load_index
from embedrec.storage import artifacts, atomic
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.file_formats import save_vectors
from embedrec.workflows import update_index
from tests.cli.conftest import Run, succeed
from tests.conftest import some_embeddings
from tests.vectors.test_procrustes import rotated

ROW = "v-hnsw\t{items}\t{added}\t{replaced}\t{removed}\t{tombstones}\t"


@pytest.fixture
def indexed_workspace(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Embeddings:
    """The current folder: a model of 100 vectors, two indexes of it, 20 new vectors and a list of removed ids."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(measure, "SINGLE_QUERIES", 5)
    embeddings = some_embeddings(100, 4)
    save_vectors(embeddings, Path("v.parquet"))
    new = some_embeddings(20, 4, seed=7)
    save_vectors(Embeddings(new.vectors, Vocab([f"n{i}" for i in range(20)]), "cosine"), Path("new.vec"))
    Path("gone.txt").write_text("i1\ni2\nnobody\n")
    succeed(run, "vectors", "import", "v.parquet")
    succeed(run, "build-index", "--type", "hnsw")
    succeed(run, "build-index", "--type", "IVF4,Flat")
    return embeddings


def test_items_are_added_and_removed(run: Run, indexed_workspace: Embeddings) -> None:
    result = succeed(run, "update-index", "v-hnsw", "--add", "new.vec", "--remove", "gone.txt")
    assert result.out.startswith(ROW.format(items=118, added=20, replaced=0, removed=2, tombstones=2))
    assert result.err == (
        "using index v-hnsw (indexes/v-hnsw)\n"
        "1 of the 3 ids in gone.txt are not in the index\n"
        "wrote index v-hnsw (indexes/v-hnsw)\n"
    )
    neighbours = [row[2] for row in succeed(run, "similar", "n3", "-n", 117, "--index", "v-hnsw").rows]
    assert len(neighbours) == 117 and not {"i1", "i2", "n3"} & set(neighbours)
    assert run("similar", "i1", "--index", "v-hnsw").code == 1
    about = json.loads(succeed(run, "info", "v-hnsw", "--json").out)
    assert about["items"] == 118 and about["indexed"]["name"] == "v"
    (message,) = about["changes"]
    assert {key: message[key] for key in ("added", "replaced", "removed", "compacted")} == {
        "added": 20,
        "replaced": 0,
        "removed": 2,
        "compacted": False,
    }
    assert succeed(run, "verify", "v-hnsw").rows == [["indexes", "v-hnsw", "ok"]]


def test_json_contains_recall_and_latency_before_and_after(
    run: Run, indexed_workspace: Embeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"i5\n")))
    (row,) = map(json.loads, succeed(run, "update-index", "v-hnsw", "--remove", "-", "--json").out.splitlines())
    assert list(row) == [
        "index",
        "items",
        "added",
        "replaced",
        "removed",
        "tombstones",
        "recall@20_before",
        "query_ms_p50_before",
        "recall@20",
        "query_ms_p50",
    ]
    assert row["recall@20"] > 0.95 and row["query_ms_p50"] > 0


def test_replaced_vectors_are_written_under_another_name(run: Run, indexed_workspace: Embeddings) -> None:
    other = Embeddings(-indexed_workspace.vectors[:10], indexed_workspace.vocab.take(np.arange(10)), "cosine")
    save_vectors(other, Path("other.npy"))
    succeed(run, "update-index", "v-ivf4-flat", "--replace", "other.npy", "--name", "turned")
    result, old = (load_index(artifacts.read(Path("indexes", name))) for name in ("turned", "v-ivf4-flat"))
    assert (result.embeddings.vectors[:10] == -indexed_workspace.vectors[:10]).all() and (
        old.embeddings.vectors == indexed_workspace.vectors
    ).all()
    assert result.rows is not None and old.rows is None


def test_compacting_drops_removed_items(run: Run, indexed_workspace: Embeddings) -> None:
    Path("most.txt").write_text("".join(f"i{i}\n" for i in range(60)))
    result = succeed(run, "update-index", "v-hnsw", "--remove", "most.txt")
    assert "60 of 100 vectors of the index belong to removed items; --compact drops them" in result.err
    result = succeed(run, "update-index", "v-hnsw", "--compact")
    assert result.out.startswith(ROW.format(items=40, added=0, replaced=0, removed=0, tombstones=0))
    assert load_index(artifacts.read(Path("indexes/v-hnsw"))).rows is None


def test_compacting_keeps_the_recall_target(run: Run, indexed_workspace: Embeddings) -> None:
    succeed(run, "build-index", "--type", "IVF4,Flat", "--target-recall", ".9@10", "--name", "kept")
    succeed(run, "update-index", "kept", "--add", "new.vec")
    measurements = json.loads(succeed(run, "info", "kept", "--json").out)["facts"]
    assert measurements["promise"]["recall"] == 0.9 and "points" not in measurements and measurements["recall@10"] > 0.5
    succeed(run, "update-index", "kept", "--compact")
    measurements = json.loads(succeed(run, "info", "kept", "--json").out)["facts"]
    assert measurements["promise"]["recall"] == 0.9 and measurements["recall_low"] >= 0.9


def test_drift_is_noted(run: Run, indexed_workspace: Embeddings) -> None:
    """All new vectors are far from the centroids of the index."""
    succeed(run, "build-index", "--type", "IVF4,Flat", "--target-recall", ".9@10", "--nprobe", 4, "--name", "kept")
    index = load_index(artifacts.read(Path("indexes/kept")))
    from dataclasses import replace

    from embedrec.index.search_settings import SearchSettings
    from embedrec.index.serialization import save_index

    about = artifacts.read(Path("indexes/kept")).about
    poor = replace(index, settings=SearchSettings(nprobe=1))
    save_index(poor, Path("indexes/kept"), {key: about[key] for key in ("type", "of", "indexed", "seed")})
    result = succeed(run, "update-index", "kept", "--add", "new.vec")
    assert " is below the target of 0.9; --compact rebuilds the index" in result.err


def test_an_index_is_updated_to_a_newer_model(run: Run, indexed_workspace: Embeddings) -> None:
    """The newer model has the same vectors in a rotated space; --align rotates them back."""
    turned = rotated(indexed_workspace)
    part = Embeddings(turned.vectors[20:], turned.vocab.take(np.arange(20, 100)), "cosine")
    newer = Embeddings(np.concatenate([part.vectors, part.vectors[:1]]), Vocab([*part.vocab.ids, "twin"]), "cosine")
    save_vectors(newer, Path("today.parquet"))
    succeed(run, "vectors", "import", "today.parquet")
    result = succeed(run, "update-index", "v-ivf4-flat", "--model", "today", "--align", "--name", "aligned")
    assert result.rows[0][:6] == ["aligned", "101", "1", "80", "0", "0"]
    assert "aligned: the mean cosine between both vectors of a common item is 1.0000" in result.err
    aligned = load_index(artifacts.read(Path("indexes/aligned")))
    np.testing.assert_allclose(aligned.embeddings.vectors[:100], indexed_workspace.vectors, atol=1e-5)
    about = artifacts.read(Path("indexes/aligned")).about
    assert about["indexed"]["name"] == "today" and about["aligned"] == 1
    result = succeed(run, "update-index", "v-ivf4-flat", "--model", "today")
    assert result.rows[0][:6] == ["v-ivf4-flat", "81", "1", "80", "20", "0"]
    assert "20 items that model today does not have are removed; --align keeps them" in result.err
    plain = load_index(artifacts.read(Path("indexes/v-ivf4-flat")))
    assert (plain.embeddings.vectors == newer.vectors).all() and plain.vocab.ids.tolist() == newer.vocab.ids.tolist()


def test_text_ids_of_files_become_integer_ids(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text files of vectors hold ids as text; an index with integer ids converts them."""
    monkeypatch.chdir(tmp_path)
    vectors = some_embeddings(30, 3).vectors
    save_vectors(Embeddings(vectors, Vocab(np.arange(30)), "cosine"), Path("v.parquet"))
    succeed(run, "vectors", "import", "v.parquet")
    succeed(run, "build-index", "--type", "flat")
    Path("more.txt").write_text("2 3\n30 1 0 0\n31 0 1 0\n")
    assert succeed(run, "update-index", "v-flat", "--add", "more.txt").rows[0][1] == "32"
    Path("more.txt").write_text("1 3\nx 1 0 0\n")
    result = run("update-index", "v-flat", "--add", "more.txt")
    assert (
        result.err.splitlines()[-1]
        == "embedrec: ids of the index are whole numbers, but more.txt contains 'x'; leave it out"
    )


def test_ids_become_texts_with_those_of_the_model(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ids of the index become texts, and its items are recognised."""
    monkeypatch.chdir(tmp_path)
    vectors = some_embeddings(30, 3).vectors
    for name, ids in (("v", np.arange(29)), ("w", np.array([*map(str, range(1, 30)), "x"], dtype=object))):
        save_vectors(Embeddings(vectors[: len(ids)], Vocab(ids), "cosine"), Path(f"{name}.parquet"))
        succeed(run, "vectors", "import", f"{name}.parquet")
    succeed(run, "build-index", "--type", "flat", "--model", "v")
    result = succeed(run, "update-index", "v-flat", "--model", "w")
    assert result.rows[0][:5] == ["v-flat", "30", "2", "28", "1"]
    assert "ids of the index become text, because model w has an item 'x'" in result.err
    assert set(load_index(artifacts.read(Path("indexes/v-flat"))).vocab.ids.tolist()) == {*map(str, range(1, 30)), "x"}
    result = succeed(run, "update-index", "v-flat", "--model", "v")
    assert result.rows[0][:5] == ["v-flat", "29", "1", "28", "2"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "no changes given; use --add, --replace, --remove, --model or --compact"),
        (("--align",), "--align needs the vectors of a model; name it with --model"),
        (("--add", "v.parquet"), "100 ids ('i0', 'i1', 'i2' …) are in the index already; replace them instead"),
        (("--replace", "new.vec"), "20 ids ('n0', 'n1', 'n2' …) are not in the index; leave them out"),
        (("--remove", "nobody.txt"), "none of the 1 ids in nobody.txt are in the index; check them"),
        (("--add", "none.vec"), "no file none.vec; check the path"),
        (("--model", "vv"), "no model artifact is called 'vv' in models; did you mean 'v'?"),
        (("--model", "other"), "model other has none of the items of the index; build a new index of the model"),
        (
            ("--model", "other", "--align"),
            "0 common items do not determine a rotation in 4 dimensions; add vectors with at least 4",
        ),
    ],
)
def test_invalid_changes_are_refused(
    words: tuple[str, ...], message: str, run: Run, indexed_workspace: Embeddings
) -> None:
    Path("nobody.txt").write_text("nobody\n")
    succeed(run, "vectors", "import", "new.vec", "--name", "other")
    digest = artifacts.read(Path("indexes/v-hnsw")).digest
    result = run("update-index", "v-hnsw", *words)
    assert (result.code, result.out) == (1, "")
    assert result.err.splitlines()[-1].startswith(f"embedrec: {message}")
    assert artifacts.read(Path("indexes/v-hnsw")).digest == digest


def test_an_update_during_another_one_is_refused(
    run: Run, indexed_workspace: Embeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = update_index.load_vectors

    def update_and_load(path: Path, **given: object) -> Embeddings:
        monkeypatch.setattr(update_index, "load_vectors", load)
        succeed(run, "update-index", "v-hnsw", "--remove", "gone.txt")
        return load(path, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(update_index, "load_vectors", update_and_load)
    result = run("update-index", "v-hnsw", "--add", "new.vec")
    assert result.code == 1 and "another process changed indexes/v-hnsw in the meantime; try again" in result.err
    assert len(load_index(artifacts.read(Path("indexes/v-hnsw")))) == 98


@pytest.mark.parametrize(
    ("folder", "first", "second"),
    [
        ("indexes/v-hnsw", "update-index v-hnsw --add new.vec", "update-index v-hnsw --remove gone.txt"),
        ("models/w", "train word2vec --from w --name w --set epochs=1", "train word2vec --name w --set sample=0"),
        ("sessions/p", "split last-item --sessions p --name p", "prepare table p.csv --name p"),
    ],
)
def test_an_artifact_changed_by_another_process_is_not_overwritten(
    folder: str, first: str, second: str, run: Run, indexed_workspace: Embeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The artifact is replaced after the last check and before it is written."""
    Path("p.csv").write_text("session,item\n" + "".join(f"{n // 4},{n * 7 % 10}\n" for n in range(80)))
    succeed(run, "prepare", "table", "p.csv", "--name", "p")
    succeed(run, "train", "word2vec", "--set", "sample=0", "--set", "dim=4", "--name", "w")

    @contextmanager
    def change_and_lock(path: Path) -> Iterator[None]:
        monkeypatch.setattr(atomic, "locked", locked)
        succeed(run, *second.split())
        with locked(path):
            yield

    locked = atomic.locked
    monkeypatch.setattr(atomic, "locked", change_and_lock)
    result = run(*first.split())
    assert result.code == 1 and f"another process changed {folder} in the meantime; try again" in result.err
    about = artifacts.read(Path(folder)).about
    assert about.get("continued_from") is None and "split" not in about and about.get("items") != 120


def test_indexes_of_sessions_are_refused(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("log.csv").write_text("session,item\n1,a\n1,b\n2,b\n2,c\n3,a\n3,c\n")
    succeed(run, "prepare", "table", "log.csv")
    succeed(run, "train", "svd", "--set", "dim=2", "--set", "min_count=1")
    succeed(run, "build-index", "--of", "sessions", "--type", "flat", "--name", "s")
    result = run("update-index", "s", "--compact")
    assert result.err.splitlines()[-1] == ("embedrec: index s is of sessions, which cannot be changed; rebuild it")
