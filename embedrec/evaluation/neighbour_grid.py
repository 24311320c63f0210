"""The grid of session kNN: hit rate and MRR for many numbers of neighbours and lengths of lists in one pass.

The article on SSCF in Python tries 10 to 150 neighbours and lists of 10 to 50. Candidates and their similarities do not
depend on either, so that they are found once a question; each cell is what `evaluate` gives for it, to the last digit.
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
from embedrec.data.sessions import Sessions
from embedrec.errors import SettingsError
from embedrec.evaluation.evaluate import EvaluationSettings, asked, check_lengths, mean_of
from embedrec.evaluation.partial_results import Parts, missing
from embedrec.evaluation.ranking_metrics import ranked_metrics
from embedrec.evaluation.target_ranks import SHARE_BEFORE
from embedrec.models.base import Model
from embedrec.models.session_knn.model import SessionKnnModel
from embedrec.progress import Report, quiet
from embedrec.splitting.test_cases import TestCases
from embedrec.version import __version__

NEIGHBOURS = (10, 25, 50, 75, 100, 125, 150)  # of the article
AT = (10, 20, 30, 40, 50)
_BLOCK = 2048  # questions that each thread answers between two parts


@dataclass(frozen=True, eq=False)
class Grid:
    """What came out.

    neighbours   g ascending numbers of neighbours
    at           a ascending lengths of lists
    hit_rate     (g, a) float64
    mrr          (g, a) float64
    questions    how many were asked
    seconds      what it took, without what was done before
    fingerprint  SHA-256 of all that the figures depend on but the lengths of lists
    """

    neighbours: tuple[int, ...]
    at: tuple[int, ...]
    hit_rate: np.ndarray
    mrr: np.ndarray
    questions: int
    seconds: float
    fingerprint: str

    def rows(self) -> list[dict[str, Any]]:
        """A row a cell: neighbours, k, hit_rate, mrr; by neighbours, then by length of the list."""
        return [
            {"neighbours": count, "k": k, "hit_rate": float(self.hit_rate[g, a]), "mrr": float(self.mrr[g, a])}
            for g, count in enumerate(self.neighbours)
            for a, k in enumerate(self.at)
        ]


def evaluate_grid(
    model: Model,
    questions: TestCases,
    train: Sessions,
    terms: EvaluationSettings,
    neighbours: Sequence[int] = NEIGHBOURS,
    *,
    parts: Path | None = None,
    report: Report = quiet,
) -> Grid:
    """Ask a session kNN questions with every number of neighbours, and judge lists of every length of `terms.at`.

    model       a session kNN; its own number of neighbours does not matter, and it works with all its threads
    train       what it was trained on: the catalogue
    neighbours  how many are listened to
    parts       finished parts are kept in a folder of this work below it, and found again; whoever has written the
                table removes it (`discard`); None keeps nothing
    report      "progress" with `done` and `total` questions; "resumed" likewise, where some were done before

    Raises SettingsError for numbers of neighbours below 1, lists longer than the catalogue, other models and those
    whose answers have no rank, DataError when no question is left.
    """
    started = perf_counter()
    if not isinstance(model, SessionKnnModel):
        raise SettingsError(f"a grid is of numbers of neighbours, but {model.recipe.name} has none; ask a session kNN")
    sizes = check_neighbours(neighbours)
    check_lengths(terms, train)
    questions = asked(questions, train, terms).reindex(model.vocab)
    fingerprint = _fingerprint(model, questions, terms, sizes)
    kept = None if parts is None else Parts(parts / fingerprint, fingerprint, len(questions), len(sizes))
    ranks = np.full((len(questions), len(sizes)), np.nan)  # (Q, g) place of the best target, infinite where none is
    done = np.zeros(len(questions), dtype=bool)
    if kept is not None:
        done, ranks = kept.load()
        if done.any():
            report("resumed", done=int(done.sum()), total=len(questions))
    for block in missing(done, _BLOCK * model.threads):
        ranks[block] = _ranks(model, questions, block, sizes, terms)
        done[block] = True
        if kept is not None:
            kept.save(block.start, ranks[block])
        report("progress", done=int(done.sum()), total=len(questions), unit="questions")
    cells = np.array([_cells(column, terms.at) for column in ranks.T])  # (g, a, 2)
    seconds = perf_counter() - started
    return Grid(sizes, terms.at, cells[..., 0], cells[..., 1], len(questions), seconds, fingerprint)


def check_neighbours(neighbours: Sequence[int]) -> tuple[int, ...]:
    """The numbers of neighbours, ascending, each once. Raises SettingsError for none, and for numbers below 1."""
    if not len(neighbours) or min(neighbours) < 1:
        raise SettingsError(f"numbers of neighbours must be at least 1, but were given {tuple(neighbours)}")
    return tuple(sorted({int(count) for count in neighbours}))


def _ranks(
    model: SessionKnnModel, questions: TestCases, block: slice, sizes: tuple[int, ...], terms: EvaluationSettings
) -> np.ndarray:
    """The rank of the best target of each question of a block, as of `ranking.rank` with each size: (b, g) float64."""
    ends = questions.offsets[block.start : block.stop + 1]
    targets = questions.targets[ends[0] : ends[-1]]
    histories = questions.histories(block.start, block.stop)
    higher, equal, own = model.standings(histories, ends - ends[0], targets, sizes, exclude_seen=terms.exclude_seen)
    return np.where(own > 0, higher + SHARE_BEFORE[terms.ties] * (equal - own) + 1, np.inf)


def _cells(ranks: np.ndarray, at: tuple[int, ...]) -> list[tuple[float, float]]:
    """Hit rate and MRR at every length, of the ranks (Q,) of the best targets."""
    values = ranked_metrics(ranks, np.arange(len(ranks) + 1), at)
    return [(mean_of(values[f"hit_rate@{k}"]), mean_of(values[f"mrr@{k}"])) for k in at]


def _fingerprint(
    model: SessionKnnModel, questions: TestCases, terms: EvaluationSettings, sizes: tuple[int, ...]
) -> str:
    """SHA-256 of what ranks depend on: training data, questions, settings, grid, ties, seen, and the version."""
    sessions = questions.sessions
    said = {
        "version": __version__,
        "recipe": model.recipe.name,
        "settings": {**settings_of(model.recipe), "neighbours": sizes},
        "items": len(model.vocab),
        "ties": terms.ties,
        "seen": not terms.exclude_seen,
    }
    arrays = {
        **{f"model {name}": array for name, array in model.arrays.items()},
        "items": sessions.items,
        "starts": sessions.offsets,
        "times": np.zeros(0) if sessions.times is None else sessions.times,
        "session": questions.session,
        "length": questions.length,
        "offsets": questions.offsets,
        "targets": questions.targets,
    }
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
