"""Runs: ranked lists and relevance judgements, in files from which other tools can compute the metrics.

A run is a folder: `run.parquet` (question, rank, item, score) and `qrels.parquet` (question, item), with ids; the same
as `run.trec` (`question Q0 item rank score tag`) and `qrels.trec` (`question 0 item 1`), which trec_eval, ir-measures,
ranx and pytrec-eval read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from embedrec.data.parquet_io import from_arrow, to_arrow
from embedrec.data.ranking_metrics import ranked_metrics
from embedrec.data.vocab import Vocab, as_ids, unify_ids
from embedrec.errors import DataError, SettingsError, decoding
from embedrec.evaluation.evaluate import Evaluation
from embedrec.storage import artifacts

_AT_ONCE = 1 << 18  # lines of a TREC file at a time
_PLAIN = "".join(map(chr, range(33, 127))).replace("%", "")  # the other characters are percent-encoded


@dataclass(frozen=True, eq=False)
class Run:
    """Q queries with ranked lists and T relevant items in all.

    query     (R,) int64 query of each ranked item, ascending
    rank      (R,) int64 its rank in the list, from 1
    item      (R,) ids
    judged    (T,) int64 query of each relevant item, ascending
    relevant  (T,) ids
    grades    (T,) relevance of each, above 0; None if all are equal
    """

    query: np.ndarray
    rank: np.ndarray
    item: np.ndarray
    judged: np.ndarray
    relevant: np.ndarray
    grades: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name in ("item", "relevant"):
            object.__setattr__(self, name, as_ids(getattr(self, name)))
        for name, ids in zip(("item", "relevant"), unify_ids(self.item, self.relevant), strict=True):
            object.__setattr__(self, name, ids)
        if not len(self.query) == len(self.rank) == len(self.item) or len(self.judged) != len(self.relevant):
            raise DataError("every item of a run needs a query, and every ranked item a rank")
        if any(column.dtype.kind not in "iu" for column in (self.query, self.rank, self.judged)):
            raise DataError("queries and ranks of a run must be whole numbers")
        if (self.rank < 1).any():
            raise DataError("ranks of a run start at 1")
        if self.grades is not None and not (len(self.grades) == len(self.relevant) and (self.grades > 0).all()):
            raise DataError("grades of relevance must be above 0, one for each relevant item")

    def metrics(self, ks: Sequence[int]) -> dict[str, np.ndarray]:
        """The result of `ranked_metrics` for the lists: metric → (Q,)."""
        if not len(self.judged):
            raise DataError("the run has no relevant items; check its qrels")
        _, counts = np.unique(self.judged, return_counts=True)
        offsets = np.concatenate([[0], np.cumsum(counts)])
        if (np.diff(self.judged) < 0).any():
            raise DataError("relevant items must be ordered by query; sort the qrels")
        rank_of = dict(zip(zip(self.query.tolist(), self.item.tolist(), strict=True), self.rank.tolist(), strict=True))
        pairs = list(zip(self.judged.tolist(), self.relevant.tolist(), strict=True))
        if len(rank_of) < len(self.rank) or len(set(pairs)) < len(pairs):
            raise DataError("an item is twice in a list of the run, or in its qrels; remove one of them")
        ranks = np.array([rank_of.get(pair, np.inf) for pair in pairs], dtype=np.float64)
        return ranked_metrics(ranks, offsets, ks, self.grades)


def save_run(
    evaluation: Evaluation, vocab: Vocab, folder: Path, about: dict[str, Any], *, relevant: np.ndarray
) -> None:
    """Write an evaluation as the artifact `folder`, kind "run".

    vocab     the training vocabulary
    relevant  (T,) ids of the targets, including those unknown to training

    Among items of equal score, targets have the rank that `ties` defines, so that the files yield the same metrics.
    Raises SettingsError for `ties="median"`, whose ranks are not those of a list.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if evaluation.settings.ties == "median":
        raise SettingsError("median ranks are not those of a list; save runs with --ties standard or conservative")
    rows, scores = place_targets(evaluation)
    query, rank = np.nonzero(rows >= 0)
    items = vocab.ids[rows[query, rank]]
    judged = np.repeat(np.arange(len(evaluation.test_cases)), evaluation.test_cases.relevant)
    with artifacts.writing(folder, "run", about) as draft:
        run = {"question": query, "rank": rank + 1, "item": to_arrow(items), "score": scores[query, rank]}
        pq.write_table(pa.table(run), draft.path("run.parquet"), compression="zstd")
        qrels = {"question": judged, "item": to_arrow(relevant)}
        pq.write_table(pa.table(qrels), draft.path("qrels.parquet"), compression="zstd")
        # trec_eval sorts by score and breaks ties by id; a score that decreases with the rank preserves the order
        descending = rows.shape[1] - rank
        _write_trec(draft.path("run.trec"), query, items, "%s Q0 %s %d %d embedrec\n", rank + 1, descending)
        _write_trec(draft.path("qrels.trec"), judged, relevant, "%s 0 %s 1\n")


def place_targets(evaluation: Evaluation) -> tuple[np.ndarray, np.ndarray]:
    """Lists (Q, k) in which every target is at its rank, and their scores (Q, k).

    Only items of equal score move, so that the scores do not change.
    """
    lists, test_cases = evaluation.lists, evaluation.test_cases
    count, k = lists.shape
    query = np.repeat(np.arange(count), test_cases.relevant)
    n = int(max(lists.max(initial=0), test_cases.targets.max(initial=0))) + 1
    known = test_cases.targets >= 0
    keys = np.arange(count)[:, None] * n + lists
    other = (lists >= 0) & ~np.isin(keys, (query * n + test_cases.targets)[known])  # (Q, k) listed, not a target
    hit = np.flatnonzero(evaluation.ranks <= k)
    at = evaluation.ranks[hit].astype(np.int64) - 1
    taken = np.zeros(lists.shape, dtype=bool)
    taken[query[hit], at] = True
    rows = np.full(lists.shape, -1, dtype=np.int64)
    rows[query[hit], at] = test_cases.targets[hit]
    room = np.minimum(other.sum(axis=1), (~taken).sum(axis=1))  # (Q,)
    q, j = np.nonzero(np.arange(k) < room[:, None])
    free, order = np.argsort(taken, axis=1, kind="stable"), np.argsort(~other, axis=1, kind="stable")
    rows[q, free[q, j]] = lists[q, order[q, j]]  # other items keep their order
    return rows, np.where(rows < 0, -np.inf, evaluation.scores)


def load_run(path: Path, qrels: Path | None = None) -> Run:
    """A run of `save_run` (its folder), or TREC files of any tool: `path` the run, `qrels` the judgements.

    Raises DataError for invalid files, ArtifactError for a damaged folder.
    """
    if path.is_dir():
        artifact = artifacts.read(path, "run")
        artifact.check()
        with artifacts.opening(artifact, "save the run again"):
            run, rels = _table(artifact.path("run.parquet")), _table(artifact.path("qrels.parquet"))
            return Run(run["question"], run["rank"], run["item"], rels["question"], rels["item"])
    if qrels is None and path.exists():
        raise SettingsError(f"{path} has ranked lists only; pass the file of relevant items with --qrels")
    return _of_trec(path, qrels or path)


def _of_trec(path: Path, qrels: Path) -> Run:
    lists: dict[str, dict[str, float]] = {}
    for number, (query, _, item, _, score, _) in _fields(path, 6):
        scores = lists.setdefault(query, {})
        if item in scores:
            raise DataError(f"{path}, line {number}: {item!r} is twice in the list of query {query!r}")
        scores[item] = _number(float, score)
        if isnan(scores[item]):
            raise DataError(f"{path}, line {number}: the score must be a number, but is {score!r}")
    judged: dict[str, dict[str, float]] = {}
    for number, (query, _, item, grade) in _fields(qrels, 4):
        grades = judged.setdefault(query, {})
        if item in grades:
            raise DataError(f"{qrels}, line {number}: {item!r} is judged twice for query {query!r}")
        grades[item] = _number(int, grade)
        if isnan(grades[item]):
            raise DataError(f"{qrels}, line {number}: the relevance must be a whole number, but is {grade!r}")
    # as in trec_eval, queries without a list are misses, and lists without relevant items are ignored
    relevant = {q: items for q, grades in judged.items() if (items := [i for i, grade in grades.items() if grade > 0])}
    ranked = [sorted(lists.get(q, {}), key=lambda item, q=q: -lists[q][item]) for q in relevant]  # type: ignore[misc]
    lengths = [len(one) for one in ranked]
    return Run(
        np.repeat(np.arange(len(relevant)), lengths),
        np.array([rank for n in lengths for rank in range(1, n + 1)], dtype=np.int64),
        np.array([item for one in ranked for item in one], dtype=object),
        np.repeat(np.arange(len(relevant)), [len(items) for items in relevant.values()]),
        np.array([item for items in relevant.values() for item in items], dtype=object),
        np.array([judged[q][item] for q, items in relevant.items() for item in items], dtype=np.float64),
    )


def _number(kind: type[float], text: str) -> float:
    """A text as a float or int; NaN if it is neither."""
    try:
        return kind(text)
    except ValueError:
        return nan


def _fields(path: Path, count: int) -> Iterator[tuple[int, list[str]]]:
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                parts = line.split()
                if parts and len(parts) != count:
                    raise DataError(f"{path}, line {number}: expected {count} fields, but there are {len(parts)}")
                if parts:
                    yield number, parts
    except UnicodeDecodeError as e:
        raise DataError(f"{path} is not UTF-8 text; convert it first") from e
    except OSError as e:
        raise DataError(f"{path} cannot be read ({e.strerror}); check the path") from e


def _table(path: Path) -> dict[str, np.ndarray]:
    import pyarrow.parquet as pq

    with decoding(lambda why: DataError(f"{path} is not a Parquet file ({why}); save the run again")):
        table = pq.ParquetFile(path).read(use_threads=False)
        return {name: from_arrow(table[name]) for name in table.column_names}


def _write_trec(path: Path, query: np.ndarray, items: np.ndarray, pattern: str, *more: np.ndarray) -> None:
    """Lines of a TREC file: `pattern` with query, item and further columns, (R,) each."""
    with path.open("w", encoding="utf-8") as out:
        for start in range(0, len(query), _AT_ONCE):
            chunk = slice(start, start + _AT_ONCE)
            ids = (quote(str(i), safe=_PLAIN) for i in items[chunk].tolist())  # white space separates fields
            columns = zip(query[chunk].tolist(), ids, *(m[chunk].tolist() for m in more), strict=True)
            out.writelines(pattern % fields for fields in columns)
