"""fusion and ranker behind every command that takes a model: filters, policies, reasons, lists, experiments."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from embedrec import Fusion, Ranker, load_model
from embedrec.data import Features
from embedrec.data.features import Categories
from embedrec.models.serialization import part_artifacts
from embedrec.storage import artifacts
from embedrec.training.context import TrainingContext
from embedrec.workflows.train import train_model
from tests.cli.conftest import Run, fails, succeed
from tests.conftest import of_lists
from tests.ranking.two_kinds import two_kinds

PARTS = "sr=6,cooccurrence=6,popular=3"
HISTORIES = {"1": ["c3", "c4"], "2": ["g11"], "3": ["unknown"]}
KINDS = ("chain", "g0", "g1", "g2", "g3", "g4", "g5")


def kind_of(item: str) -> str:
    return item[:2] if item[0] == "g" else "chain"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sessions whose items have a kind and a number, a fusion and a ranker."""
    root = tmp_path_factory.mktemp("composites")
    sessions = two_kinds(300)
    ids = sessions.vocab.ids.tolist()
    kinds = Categories(np.array([KINDS.index(kind_of(i)) for i in ids], np.int32), np.array(KINDS, object))
    features = Features(sessions.vocab, {"number": np.arange(len(ids), dtype=np.float64)}, {"kind": kinds})
    replace(sessions, item_features=features).save(root / "sessions" / "s", {})
    source = artifacts.read(root / "sessions" / "s", "sessions")
    for recipe in (Fusion(PARTS, window=0.3), Ranker(PARTS, window=0.3, trees=9, leaves=4, min_leaf=1)):
        train_model(recipe, source, root / "models" / recipe.name, context=TrainingContext(force=True))
    return root


@pytest.fixture(params=["fusion", "ranker"])
def name(request: pytest.FixtureRequest, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A composite model; its workspace is the current folder, with tables of histories and items."""
    shutil.copytree(trained, tmp_path / "w")
    monkeypatch.chdir(tmp_path / "w")
    lines = [f"{session},{item}" for session, items in HISTORIES.items() for item in items]
    Path("carts.csv").write_text("\n".join(["session,item", *lines]) + "\n")
    Path("out.txt").write_text("c5\nc6\n")
    Path("some.txt").write_text("".join(f"g1{n}\n" for n in range(5)) + "c5\nc20\n")
    model: str = request.param
    return model


def recommended(run: Run, name: str, *options: object) -> list[str]:
    return [row[1] for row in succeed(run, "recommend", "c3", "c4", "--model", name, *options).rows]


def exported(run: Run, name: str, *options: object) -> list[list[str]]:
    """The lists of the histories, as `export` writes them; unknown items give popular ones."""
    words = ("export", "-", "--of", "recommendations", "--histories", "carts.csv", "--model", name, *options)
    return [line.split(" ")[1:] for line in succeed(run, *words).out.splitlines()]


def test_filters_keep_k_results(run: Run, name: str) -> None:
    whole = recommended(run, name, "-n", 58)
    assert len(set(whole)) == 58 and not {"c3", "c4"} & set(whole)
    assert recommended(run, name, "-n", 7) == whole[:7]
    assert recommended(run, name, "-n", 20, "--exclude", "out.txt") == [i for i in whole if i not in ("c5", "c6")][:20]
    chosen = set(Path("some.txt").read_text().split())
    assert recommended(run, name, "-n", 7, "--only", "some.txt") == [i for i in whole if i in chosen]
    assert recommended(run, name, "-n", 5, "--where", "kind=g4") == [i for i in whole if kind_of(i) == "g4"]
    numbers = {item: n for n, item in enumerate(load_model(Path("models", name)).vocab.ids.tolist())}
    both = [i for i in whole if numbers[i] < 30 and i != "c5"]
    assert (
        recommended(run, name, "-n", 9, "--where", "number<30", "--exclude", "out.txt")
        == [i for i in both if i != "c6"][:9]
    )
    assert len(set(recommended(run, name, "-n", 60, "--seen"))) == 60


def test_policies_keep_k_results(run: Run, name: str) -> None:
    plain = exported(run, name, "-n", 5)
    assert plain[0] == recommended(run, name, "-n", 5)
    diverse = exported(run, name, "-n", 5, "--mmr", ".7")
    assert [len(items) for items in diverse] == [5] * 3 and diverse != plain
    assert [items[0] for items in diverse] == [items[0] for items in plain]
    for options in (("--candidates", 60), ("--back-off",)):
        for items in exported(run, name, "-n", 5, "--cap", "kind=1", *options):
            assert len(items) == len({kind_of(item) for item in items}) == 5
    filtered = exported(run, name, "-n", 4, "--where", "kind=chain", "--exclude", "out.txt", "--mmr", ".3")
    for items in filtered:
        assert len(items) == 4 and {kind_of(item) for item in items} == {"chain"} and not {"c5", "c6"} & set(items)
    assert [len(items) for items in exported(run, name, "-n", 5, "--discount", ".5")] == [5] * 3


def test_why_names_parts_and_features(run: Run, name: str) -> None:
    lines = succeed(run, "recommend", "c3", "c4", "-n", 20, "--model", name, "--why", "--json").out.splitlines()
    records = [json.loads(line) for line in lines]
    model = load_model(Path("models", name))
    query = of_lists([["c3", "c4"]], model.vocab)
    lists = {p.name: p.lists(query, p.count, exclude_seen=model.exclude_seen)[0][0] for p in model.parts}  # type: ignore[attr-defined]
    for record in records:
        row = int(model.vocab.rows([record["item"]])[0])
        ranks = {p: rows.tolist().index(row) + 1 for p, rows in lists.items() if row in rows}
        assert record["parts"] == ranks
        assert list(record["parts"].values()) == sorted(record["parts"].values())
        assert bool(record["features"]) <= bool(ranks) and len(record["features"]) <= 3
    assert any(record["features"] for record in records) and not records[-1]["parts"]
    proposed = sum(bool(record["parts"]) for record in records)
    assert all(record["parts"] for record in records[:proposed])  # what follows the candidates comes last
    (cells,) = succeed(run, "recommend", "c3", "c4", "-n", 1, "--model", name, "--why").rows
    assert cells[4].startswith("sr 1, ") and "; " in cells[4]


def test_neighbours_are_recommended_after_the_item_alone(run: Run, name: str) -> None:
    alone = [row[1] for row in succeed(run, "recommend", "c3", "--model", name, "-n", 6).rows]
    assert [row[2] for row in succeed(run, "similar", "c3", "--model", name, "-n", 6).rows] == alone
    succeed(run, "export", "lists.txt", "--model", name, "-n", 6)
    lists = {line.split(" ")[0]: line.split(" ")[1:] for line in Path("lists.txt").read_text().splitlines()}
    assert len(lists) == 60 and lists["c3"] == alone
    kinds = [row[2] for row in succeed(run, "similar", "c3", "--model", name, "-n", 5, "--where", "kind=g1").rows]
    assert len(kinds) == 5 and {kind_of(item) for item in kinds} == {"g1"}
    assert fails(run, "similar", "c3", "--model", name, "--device", "cuda") == (
        f"model {name} ({name}) has no vectors; leave --device out"
    )
    assert fails(run, "similar", "c3", "--model", name, "--popularity", ".5") == (
        f"model {name} ({name}) has no vectors; leave --popularity out"
    )


def test_neighbours_are_published(run: Run, name: str) -> None:
    result = succeed(run, "publish", "parquet", "lists", "--model", name, "-n", 4)
    assert result.rows[0][:3] == ["parquet", "1", "240"]
    table = pq.read_table("lists/neighbours.parquet").to_pylist()  # type: ignore[no-untyped-call]
    ours = [row["other"] for row in table if row["item"] == "c3"]
    assert ours == [row[2] for row in succeed(run, "similar", "c3", "--model", name, "-n", 4).rows]
    assert fails(run, "publish", "qdrant", "q", "--model", name).startswith(f"model {name} ({name}) has no vectors; ")


EXPERIMENT = """\
[prepare]
source = "table"
paths = ["log.csv"]

[split]
rule = "last-item"

[[train]]
model = "popular"

[[train]]
model = "sr"

[[train]]
model = "MODEL"
set = {candidates = "sr=5,popular=5", window = 0.3SETTINGS}

[compare]
at = [5]
"""


def test_an_experiment_trains_and_compares_them(run: Run, name: str) -> None:
    sessions = two_kinds(200)
    lines = [f"{s},{sessions.vocab.ids[i]}" for s in range(len(sessions)) for i in sessions[s].tolist()]
    Path("log.csv").write_text("\n".join(["session,item", *lines]) + "\n")
    settings = ", trees = 3, leaves = 4, min_leaf = 1" if name == "ranker" else ""
    Path("study.toml").write_text(EXPERIMENT.replace("MODEL", name).replace("SETTINGS", settings))
    rows = succeed(run, "run", "study.toml", "--workspace", "new").rows
    assert sorted(row[0] for row in rows[1:]) == sorted(["popular", "sr", name])
    model = artifacts.read(Path("new", "models", name), "model")
    assert "validation" in model.about and {a.name for a in part_artifacts(model).values()} == {"popular", "sr"}
    again = succeed(run, "run", "study.toml", "--workspace", "new")
    assert again.rows == rows


def test_training_a_part_again_is_noted(run: Run, name: str) -> None:
    note = f"model {name} derives from the old model sr and is now stale\n"
    succeed(run, "train", "sr")
    succeed(run, "train", name, "--candidates", "sr=5,popular=5", "--force")
    assert note not in succeed(run, "train", "sr").err  # it is the same
    assert note in succeed(run, "train", "sr", "--set", "steps=2").err
    for same in Path("models", "parts").glob("sr-*"):  # of the window; in so small a log it equals the final part
        shutil.rmtree(same)
    assert fails(run, "recommend", "c3", "--model", name).startswith(
        f"model {name} was trained with another part sr than the one in "
    )


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ("sr=5", "candidates must come from two models or more, but are 'sr=5'; add a model"),
        ("sr=5,sr=6", "candidates name the model sr twice; name it once"),
        (
            "sr=5,ranker=5",
            "ranker cannot propose candidates, as it ranks those of other models; name these instead",
        ),
        ("sr=5,srr=5", "candidates name the model 'srr', which does not exist; did you mean 'sr'?"),
        (
            "sr=5,foreign=5",
            "model foreign was imported and may know the last window, so it cannot propose candidates; "
            "name a recipe in its place",
        ),
        (
            "sr=5,other=5",
            "model other was trained on the sessions few, not on s as they are now; train it again on s",
        ),
    ],
)
def test_parts_that_cannot_propose_candidates(run: Run, name: str, candidates: str, message: str) -> None:
    _vectors_and_another_model(run)
    assert fails(run, "train", name, "--name", "new", "--sessions", "s", "--candidates", candidates) == message
    assert not Path("models", "new").exists()


def _vectors_and_another_model(run: Run) -> None:
    """The imported model foreign, the sessions few, and the model other of them."""
    Path("foreign.txt").write_text("c1 1.0 0.5\nc2 0.5 1.0\n")
    succeed(run, "vectors", "import", "foreign.txt")
    of_lists(["ab"] * 9 + ["a"]).save(Path("sessions", "few"), {})
    succeed(run, "train", "sr", "--sessions", "few", "--name", "other")


def test_a_window_without_questions(run: Run, name: str) -> None:
    of_lists(["ab"] * 9 + ["a"]).save(Path("sessions", "few"), {})
    message = fails(run, "train", name, "--name", "new", "--candidates", "sr=5,popular=5", "--sessions", "few")
    assert message == (
        "the last window of the sessions, a share of 0.1, has no questions, as no session in it has two items; set a "
        "larger window, or prepare longer sessions"
    )
    assert not Path("models", "new").exists()


def test_parts_are_retrained_for_an_evaluation(run: Run, name: str) -> None:
    """A model of the workspace that knows the held-out part lends its settings only."""
    succeed(run, "split", "tail:share=.2", "--sessions", "s", "--name", "half")
    succeed(run, "train", "sr", "--sessions", "s", "--set", "steps=3", "--name", "knows")
    small = ("--config", "small.toml") if name == "ranker" else ()
    Path("small.toml").write_text("[train.ranker]\ntrees = 3\nleaves = 4\nmin_leaf = 1\n")
    words = ("train", name, "--candidates", "knows=5,popular=5", "--name", "new", *small)
    assert fails(run, *words, "--sessions", "half") == (
        "model knows was trained on the sessions s, not on half as they are now; train it again on half"
    )
    succeed(run, *words, "--sessions", "s", "--force")
    succeed(run, "evaluate", "new", "--sessions", "half", "--at", 5)
    parts = [artifacts.read(folder, "model") for folder in Path("models", "parts").iterdir()]
    fresh = [part for part in parts if part.about["settings"].get("steps") == 3]
    assert len({part.about["sessions"] for part in fresh}) == len(fresh) >= 2  # before a window, of the half
