"""Saved runs: the files give the same metrics, here and in other tools."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from embedrec.data import Vocab
from embedrec.errors import ArtifactError, DataError, SettingsError
from embedrec.evaluation.evaluate import Evaluation, EvaluationSettings, evaluate
from embedrec.evaluation.trec_runs import load_run, save_run
from embedrec.storage import artifacts
from tests.conftest import of_lists
from tests.evaluation.scored_model import Case, ScoredModel, cases, make_test_cases, numbered_vocab


def evaluate_random(case: Case, at: tuple[int, ...], ties: Any, exclude_seen: bool) -> Evaluation:
    settings = EvaluationSettings(at=tuple({min(k, case.n) for k in at}), ties=ties, exclude_seen=exclude_seen, draws=0)
    return evaluate(case.model(), case.test_cases(), case.train(), settings)


def saved(result: Evaluation, vocab: Vocab, folder: Path, relevant: list[Any] | None = None) -> Path:
    targets = result.test_cases.targets.tolist()
    if relevant is None:
        relevant = [f"not known {i}" if t < 0 else vocab.id(t) for i, t in enumerate(targets)]
    save_run(result, vocab, folder, {"model": "test"}, relevant=ids_of(relevant))
    return folder


def ids_of(ids: list[Any]) -> np.ndarray:
    return np.array(ids, dtype=np.int64 if ids and isinstance(ids[0], int) else object)


def assert_same_metrics(path: Path, result: Evaluation, qrels: Path | None = None) -> None:
    """Assert that all ranked metrics of the files equal those of the evaluation, per test case."""
    metrics = load_run(path, qrels).metrics(result.settings.at)
    for key, column in metrics.items():
        assert column.tolist() == result.values[key].tolist(), key
    assert set(result.values) - set(metrics) == {
        f"{n}@{k}" for n in ("popularity", "novelty") for k in result.settings.at
    }


@given(
    case=cases(),
    at=st.sampled_from([(1,), (2, 4), (1, 3, 8)]),
    ties=st.sampled_from(["standard", "conservative"]),
    exclude_seen=st.booleans(),
)
def test_the_files_give_the_same_metrics(
    case: Case, at: tuple[int, ...], ties: str, exclude_seen: bool, tmp_path: Path
) -> None:
    result = evaluate_random(case, at, ties, exclude_seen)
    folder = saved(result, case.vocab, tmp_path / "run")
    assert_same_metrics(folder, result)
    assert_same_metrics(folder / "run.trec", result, folder / "qrels.trec")


@given(
    case=cases(),
    at=st.sampled_from([(1,), (2, 4), (1, 3, 8)]),
    ties=st.sampled_from(["standard", "conservative"]),
)
def test_pytrec_eval_gives_the_same_metrics(case: Case, at: tuple[int, ...], ties: str, tmp_path: Path) -> None:
    result = evaluate_random(case, at, ties, True)
    folder = saved(result, case.vocab, tmp_path / "run")
    ks = ",".join(map(str, result.settings.at))
    measures = {f"{name}.{ks}" for name in ("P", "recall", "map_cut", "ndcg_cut", "success")} | {"Rprec"}
    with (folder / "qrels.trec").open() as qrels, (folder / "run.trec").open() as run:
        theirs = pytrec_eval.RelevanceEvaluator(pytrec_eval.parse_qrel(qrels), measures).evaluate(
            pytrec_eval.parse_run(run)
        )
    ours = {"P": "precision", "recall": "recall", "map_cut": "map", "ndcg_cut": "ndcg", "success": "hit_rate"}
    for q in range(len(result.test_cases)):
        values = theirs.get(str(q), {})  # a test case with an empty list is not in the run
        assert values or not (result.lists[q] >= 0).any()
        for name, our in ours.items():
            for k in result.settings.at:
                expected = pytest.approx(values.get(f"{name}_{k}", 0), abs=1e-9)
                assert result.values[f"{our}@{k}"][q] == expected, (name, k)
        assert result.values["r_precision"][q] == pytest.approx(values.get("Rprec", 0), abs=1e-9)


def small(ids: list[Any], targets: list[list[int]], **settings: Any) -> tuple[Evaluation, Vocab]:
    """One list for all test cases: the items in their order."""
    vocab = Vocab(ids)
    model = ScoredModel(vocab, -np.arange(float(len(ids)))[None].repeat(len(targets), axis=0))
    test_cases = make_test_cases([[]] * len(targets), targets, vocab)
    train = of_lists([ids], vocab)
    return evaluate(model, test_cases, train, EvaluationSettings(**{"at": (1, 2), "draws": 0, **settings})), vocab


def test_file_contents_by_hand(tmp_path: Path) -> None:
    result, vocab = small(["a", "b", "c"], [[1], [0, -1]])
    folder = saved(result, vocab, tmp_path / "run", ["b", "a", "x"])
    assert (folder / "run.trec").read_text() == (
        "0 Q0 a 1 2 embedrec\n0 Q0 b 2 1 embedrec\n1 Q0 a 1 2 embedrec\n1 Q0 b 2 1 embedrec\n"
    )
    assert (folder / "qrels.trec").read_text() == "0 0 b 1\n1 0 a 1\n1 0 x 1\n"
    assert pq.ParquetFile(folder / "run.parquet").read().to_pydict() == {
        "question": [0, 0, 1, 1], "rank": [1, 2, 1, 2], "item": ["a", "b", "a", "b"], "score": [0, -1, 0, -1],
    }  # fmt: skip
    assert pq.ParquetFile(folder / "qrels.parquet").read().to_pydict() == {
        "question": [0, 1, 1], "item": ["b", "a", "x"],
    }  # fmt: skip
    artifact = artifacts.read(folder, "run")
    artifact.check()
    assert artifact.about == {"model": "test"}
    assert_same_metrics(folder, result)


@pytest.mark.parametrize(
    "ids",
    [
        ["a b", "a\tc", "é", "100%", "%20", "Q0"],
        ["a b", "a%20b", "\n", " ", "\u2028", "#"],
        [5, -7, 0, 2**62, 1, 2],
    ],
    ids=["texts", "spaces", "integers"],
)
def test_ids_of_every_kind_are_read_back(ids: list[Any], tmp_path: Path) -> None:
    result, vocab = small(ids, [[0], [1, 3], [5, 2], [4]], at=(1, 6))
    folder = saved(result, vocab, tmp_path / "run")
    assert_same_metrics(folder, result)
    assert_same_metrics(folder / "run.trec", result, folder / "qrels.trec")
    lines = (folder / "run.trec").read_text().split("\n")
    assert {len(line.split(" ")) for line in lines[:-1]} == {6} and len(lines) == 4 * 6 + 1
    assert len({line.split(" ")[2] for line in lines[:-1]}) == 6


def test_empty_lists_are_saved(tmp_path: Path) -> None:
    vocab = numbered_vocab(3)
    model = ScoredModel(vocab, np.full((2, 3), -np.inf))
    train = of_lists([vocab.ids], vocab)
    result = evaluate(
        model, make_test_cases([[], []], [[0], [1]], vocab), train, EvaluationSettings(at=(1, 2), draws=0)
    )
    folder = saved(result, vocab, tmp_path / "run")
    assert (folder / "run.trec").read_text() == ""
    assert_same_metrics(folder, result)
    assert_same_metrics(folder / "run.trec", result, folder / "qrels.trec")


def test_more_targets_than_list_positions(tmp_path: Path) -> None:
    result, vocab = small(["a", "b", "c", "d"], [[0, 2, 3]], at=(1,))
    assert result.metrics["r_precision"] == 2 / 3
    folder = saved(result, vocab, tmp_path / "run")
    assert_same_metrics(folder, result)


def test_median_ranks_cannot_be_saved(tmp_path: Path) -> None:
    result, vocab = small(["a", "b"], [[1]], ties="median")
    with pytest.raises(SettingsError) as error:
        saved(result, vocab, tmp_path / "run")
    message = "median ranks are not those of a list; save runs with --ties standard or conservative"
    assert str(error.value) == message
    assert not (tmp_path / "run").exists()


def test_other_folders_are_not_overwritten(tmp_path: Path) -> None:
    result, vocab = small(["a", "b"], [[1]])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(ArtifactError, match="is not an artifact: it contains other files"):
        saved(result, vocab, tmp_path / "mine")
    saved(result, vocab, tmp_path / "run")
    saved(result, vocab, tmp_path / "run")  # a run may be replaced


# --------------------------------------------------------------------------------- files of other tools

RUN = "q1 Q0 d1 1 0.5 tag\nq1\tQ0 d2   2 0.9 tag\n\nq2 Q0 d1 1 1e-3 tag\nq9 Q0 d1 1 7 tag\n"
QRELS = "q1 0 d1 2\nq1 0 d2 0\nq2 0 d5 1\nq3 0 d1 1\nq4 0 d1 0\nq4 0 d2 -1\n"


def trec(folder: Path, run: str | bytes = RUN, qrels: str | bytes = QRELS) -> tuple[Path, Path]:
    for name, content in (("a.run", run), ("a.qrels", qrels)):
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder / "a.run", folder / "a.qrels"


def test_files_of_other_tools_are_read(tmp_path: Path) -> None:
    """Sorted by score: q1 finds d1 second, q2 nothing; q3 has no list, a miss; q4 and q9 have no relevant items."""
    result = load_run(*trec(tmp_path)).metrics((1, 2))
    assert result["mrr@2"].tolist() == [1 / 2, 0, 0]
    assert result["hit_rate@1"].tolist() == [0, 0, 0]
    assert result["r_precision"].tolist() == [0, 0, 0]


def test_equal_scores_keep_their_order(tmp_path: Path) -> None:
    path, qrels = trec(tmp_path, "q Q0 b 1 1 t\nq Q0 a 2 1 t\n", "q 0 b 1\n")
    assert load_run(path, qrels).metrics((1,))["mrr@1"].tolist() == [1]


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ("q Q0 d 1 0.5\n", "line 1: expected 6 fields, but there are 5"),
        ("q Q0 d 1 0.5 t\n\nq Q0 e e 2 0.5 t\n", "line 3: expected 6 fields, but there are 7"),
        ("q Q0 d 1 high t\n", "line 1: the score must be a number, but is 'high'"),
        ("q Q0 d 1 nan t\n", "line 1: the score must be a number, but is 'nan'"),
        ("q Q0 d 1 2 t\nq Q0 d 2 1 t\n", "line 2: 'd' is twice in the list of query 'q'"),
    ],
)
def test_invalid_runs_are_refused(run: str, message: str, tmp_path: Path) -> None:
    path, qrels = trec(tmp_path, run)
    with pytest.raises(DataError) as error:
        load_run(path, qrels)
    assert str(error.value).startswith(f"{path}, {message}")


@pytest.mark.parametrize(
    ("qrels", "message"),
    [
        ("q 0 d\n", "line 1: expected 4 fields, but there are 3"),
        ("q 0 d 1\nq 0 e 0.5\n", "line 2: the relevance must be a whole number, but is '0.5'"),
        ("q 0 d -\n", "line 1: the relevance must be a whole number, but is '-'"),
        ("q 0 d --1\n", "line 1: the relevance must be a whole number, but is '--1'"),
        ("q 0 d 1\nq 0 d 1\n", "line 2: 'd' is judged twice for query 'q'"),
    ],
)
def test_invalid_qrels_are_refused(qrels: str, message: str, tmp_path: Path) -> None:
    paths = trec(tmp_path, qrels=qrels)
    with pytest.raises(DataError) as error:
        load_run(*paths)
    assert str(error.value).startswith(f"{paths[1]}, {message}")


def test_missing_qrels_and_files_are_named(tmp_path: Path) -> None:
    path, qrels = trec(tmp_path)
    with pytest.raises(SettingsError) as error:
        load_run(path)
    assert str(error.value) == f"{path} has ranked lists only; pass the file of relevant items with --qrels"
    for paths in ((tmp_path / "no.run", qrels), (path, tmp_path / "no.qrels"), (tmp_path / "no.run", None)):
        with pytest.raises(DataError, match=r"no\.\w+ cannot be read \(.*No such file.*\); check the path"):
            load_run(*paths)
    for name, content in (("run", b"\xff\xfe\x00 \x00"), ("qrels", b"q 0 \xe9 1\n")):
        with pytest.raises(DataError, match="is not UTF-8 text; convert it first"):
            load_run(*trec(tmp_path, **{name: content}))


@pytest.mark.parametrize("qrels", ["", "q1 0 d1 0\n"])
def test_qrels_without_relevant_items_are_refused(qrels: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        load_run(*trec(tmp_path, qrels=qrels)).metrics((1,))
    assert str(error.value) == "the run has no relevant items; check its qrels"


# ------------------------------------------------------------------------------------- damaged folders


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    result, vocab = small(["a", "b", "c"], [[1], [0, -1]])
    return saved(result, vocab, tmp_path / "run", ["b", "a", "x"])


@pytest.mark.parametrize("name", ["run.parquet", "qrels.parquet", "run.trec", "qrels.trec", "manifest.json"])
def test_damaged_files_are_refused(name: str, folder: Path) -> None:
    content = (folder / name).read_bytes()
    for damaged in (b"", content[:-2], content[:5] + b"!" + content[6:], None):
        (folder / name).unlink()
        if damaged is not None:
            (folder / name).write_bytes(damaged)
        with pytest.raises(ArtifactError) as error:
            load_run(folder)
        assert str(folder) in str(error.value)
        (folder / name).write_bytes(content)
    load_run(folder)


def test_artifacts_of_another_kind_are_refused(folder: Path) -> None:
    shutil.copytree(folder, folder.parent / "empty", ignore=lambda _, names: names)
    with pytest.raises(ArtifactError, match=r"is not an artifact of embedrec"):
        load_run(folder.parent / "empty")
    with artifacts.writing(folder.parent / "model", "model", {}):
        pass
    with pytest.raises(ArtifactError, match="is of kind model, but an artifact of kind run is needed"):
        load_run(folder.parent / "model")


@pytest.mark.parametrize("name", ["run.parquet", "qrels.parquet"])
@pytest.mark.parametrize(
    "table",
    [
        b"PAR1 no",
        {"x": [1]},
        {"question": ["0"], "rank": [1], "item": ["a"], "score": [1.0]},
        {"question": [0], "rank": [1], "item": [0.5], "score": [1.0]},
        {"question": [None], "rank": [None], "item": [None], "score": [1.0]},
    ],
    ids=str,
)
def test_invalid_tables_with_valid_checksums_are_refused(name: str, table: Any, folder: Path) -> None:
    """Damage under valid checksums is refused, in a sentence that names the folder."""
    with pytest.raises(ArtifactError) as error:
        load_run(forged(folder, name, table))
    assert str(error.value).startswith(f"{folder.parent / 'forged'} cannot be opened (")
    assert str(error.value).endswith("; save the run again")


def forged(folder: Path, name: str, table: Any) -> Path:
    with artifacts.writing(folder.parent / "forged", "run", {}) as draft:
        for file in ("run.parquet", "qrels.parquet"):
            if file != name:
                draft.path(file).write_bytes((folder / file).read_bytes())
            elif isinstance(table, bytes):
                draft.path(file).write_bytes(table)
            else:
                pq.write_table(pa.table(table), draft.path(file))
    return folder.parent / "forged"


@pytest.mark.parametrize(("rank", "message"), [(["first"], "must be whole numbers"), ([0], "start at 1")])
def test_invalid_ranks_with_valid_checksums_are_refused(rank: list[Any], message: str, folder: Path) -> None:
    with pytest.raises(ArtifactError, match=rf"forged cannot be opened \(.*{message}\); save the run again"):
        load_run(forged(folder, "run.parquet", {"question": [0], "rank": rank, "item": ["a"]}))


def test_unsorted_and_duplicate_rows_with_valid_checksums_are_refused(folder: Path) -> None:
    for name, table in (
        ("run.parquet", {"question": [0, 0], "rank": [1, 2], "item": ["a", "a"]}),
        ("qrels.parquet", {"question": [0, 0], "item": ["a", "a"]}),
    ):
        with pytest.raises(DataError, match="an item is twice in a list of the run, or in its qrels"):
            load_run(forged(folder, name, table)).metrics((1,))
    with pytest.raises(DataError, match="relevant items must be ordered by query; sort the qrels"):
        load_run(forged(folder, "qrels.parquet", {"question": [1, 0], "item": ["a", "a"]})).metrics((1,))


def test_the_manifest_contains_the_provenance(folder: Path) -> None:
    assert json.loads((folder / "manifest.json").read_text())["kind"] == "run"
