"""The grid of session kNN: hit rate and MRR for many numbers of neighbours and list lengths in one pass.

The article on SSCF in Python tries 10 to 150 neighbours and lists of 10 to 50. Candidates and their similarities do not
depend on either, so they are computed once a test case. Each cell equals the result of `evaluate` to the last digit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from embedrec.config import settings_of
from embedrec.data.ranking_metrics import ranked_metrics
from embedrec.data.sessions import Sessions
from embedrec.errors import SettingsError
from embedrec.evaluation.evaluate import EvaluationSettings, check_list_lengths, mean_of, reindex_test_cases
from embedrec.evaluation.partial_results import PartialResults, missing
from embedrec.evaluation.target_ranks import SHARE_BEFORE
from embedrec.models.base import Model
from embedrec.models.session_knn.model import SessionKnnModel
from embedrec.progress import Report, quiet
from embedrec.splitting.test_cases import TestCases
from embedrec.version import __version__

NEIGHBOURS = (10, 25, 50, 75, 100, 125, 150)  # of the article
LIST_LENGTHS = (10, 20, 30, 40, 50)
BLOCK_CASES = 2048  # test cases a thread between two saved parts


@dataclass(frozen=True, eq=False)
class Grid:
    """The result of a grid.

    neighbours   (g,) numbers of neighbours, ascending
    at           (a,) list lengths, ascending
    hit_rate     (g, a) float64
    mrr          (g, a) float64
    test_case_count  number of test cases
    seconds      run time, without parts that were done before
    fingerprint  SHA-256 of all that the ranks depend on
    """

    neighbours: tuple[int, ...]
    at: tuple[int, ...]
    hit_rate: np.ndarray
    mrr: np.ndarray
    test_case_count: int
    seconds: float
    fingerprint: str

    def rows(self) -> list[dict[str, Any]]:
        """A row a cell: neighbours, k, hit_rate, mrr; ordered by neighbours, then by k."""
        return [
            {"neighbours": count, "k": k, "hit_rate": float(self.hit_rate[g, a]), "mrr": float(self.mrr[g, a])}
            for g, count in enumerate(self.neighbours)
            for a, k in enumerate(self.at)
        ]


def evaluate_grid(
    model: Model,
    test_cases: TestCases,
    train: Sessions,
    settings: EvaluationSettings,
    neighbours: Sequence[int] = NEIGHBOURS,
    *,
    parts: Path | None = None,
    report: Report = quiet,
) -> Grid:
    """Evaluate a session-kNN model with every number of neighbours, at every list length of `settings.at`.

    model       a session-kNN model; its own number of neighbours does not matter; uses all its threads
    train       the training sessions: the catalogue
    neighbours  numbers of neighbours
    parts       folder below which finished parts are saved and reused; `remove_parts` removes them once the table is
                written; None saves nothing
    report      "progress" with `done` and `total` test cases; "resumed" likewise, if some were done before

    Raises SettingsError for numbers of neighbours below 1, lists longer than the catalogue, other models and those
    without ranks, DataError if no test case is left.
    """
    started = perf_counter()
    if not isinstance(model, SessionKnnModel):
        raise SettingsError(f"a grid needs a session-kNN model; {model.recipe.name} is not one")
    sizes = check_neighbours(neighbours)
    check_list_lengths(settings, train)
    test_cases = reindex_test_cases(test_cases, train, settings).reindex(model.vocab)
    fingerprint = _fingerprint(model, test_cases, settings, sizes)
    kept = None if parts is None else PartialResults(parts / fingerprint, fingerprint, len(test_cases), len(sizes))
    ranks = np.full((len(test_cases), len(sizes)), np.nan)  # (Q, g) rank of the best target, infinite for a miss
    done = np.zeros(len(test_cases), dtype=bool)
    if kept is not None:
        done, ranks = kept.load()
        if done.any():
            report("resumed", done=int(done.sum()), total=len(test_cases))
    for block in missing(done, BLOCK_CASES * model.threads):
        ranks[block] = _ranks(model, test_cases, block, sizes, settings)
        done[block] = True
        if kept is not None:
            kept.save(block.start, ranks[block])
        report("progress", done=int(done.sum()), total=len(test_cases), unit="test cases")
    cells = np.array([_cells(column, settings.at) for column in ranks.T])  # (g, a, 2)
    seconds = perf_counter() - started
    return Grid(sizes, settings.at, cells[..., 0], cells[..., 1], len(test_cases), seconds, fingerprint)


def check_neighbours(neighbours: Sequence[int]) -> tuple[int, ...]:
    """The numbers of neighbours, ascending, each once. Raises SettingsError for none, and for numbers below 1."""
    if not len(neighbours) or min(neighbours) < 1:
        raise SettingsError(f"numbers of neighbours must be at least 1, but are {tuple(neighbours)}")
    return tuple(sorted({int(count) for count in neighbours}))


def _ranks(
    model: SessionKnnModel, test_cases: TestCases, block: slice, sizes: tuple[int, ...], settings: EvaluationSettings
) -> np.ndarray:
    """The rank of the best target of each case of a block, equal to that of `rank`, for each size: (b, g) float64."""
    ends = test_cases.offsets[block.start : block.stop + 1]
    targets = test_cases.targets[ends[0] : ends[-1]]
    histories = test_cases.histories(block.start, block.stop)
    higher, equal, own = model.target_positions(
        histories, ends - ends[0], targets, sizes, exclude_seen=settings.exclude_seen
    )
    return np.where(own > 0, higher + SHARE_BEFORE[settings.ties] * (equal - own) + 1, np.inf)


def _cells(ranks: np.ndarray, at: tuple[int, ...]) -> list[tuple[float, float]]:
    """Hit rate and MRR at every length, of the ranks (Q,) of the best targets."""
    values = ranked_metrics(ranks, np.arange(len(ranks) + 1), at)
    return [(mean_of(values[f"hit_rate@{k}"]), mean_of(values[f"mrr@{k}"])) for k in at]


def _fingerprint(
    model: SessionKnnModel, test_cases: TestCases, settings: EvaluationSettings, sizes: tuple[int, ...]
) -> str:
    """SHA-256 of what ranks depend on: training data, test cases, settings, grid, ties, seen, and the version."""
    sessions = test_cases.sessions
    manifest = {
        "version": __version__,
        "recipe": model.recipe.name,
        "settings": {**settings_of(model.recipe), "neighbours": sizes},
        "items": len(model.vocab),
        "ties": settings.ties,
        "seen": not settings.exclude_seen,
    }
    arrays = {
        **{f"model {name}": array for name, array in model.arrays.items()},
        "items": sessions.items,
        "starts": sessions.offsets,
        "times": np.zeros(0) if sessions.times is None else sessions.times,
        "session": test_cases.session,
        "length": test_cases.length,
        "offsets": test_cases.offsets,
        "targets": test_cases.targets,
    }
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode())
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
