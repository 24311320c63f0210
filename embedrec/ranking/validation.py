"""Whether a composite model is better than its best part, on questions that none of them has learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from embedrec.data.ranking_metrics import ranked_metrics
from embedrec.errors import TargetNotMet
from embedrec.evaluation.bootstrap import interval, resampled_means
from embedrec.ranking.candidates import merge_lists
from embedrec.ranking.parts import Part
from embedrec.ranking.scorer import Scorer
from embedrec.ranking.window import Window, all_histories, relevant_items, session_numbers

K = 20
METRIC = f"ndcg@{K}"  # decides
METRICS = (METRIC, f"recall@{K}", f"mrr@{K}")
BLOCK = 1024  # questions at a time


def compare_with_parts(
    window: Window, parts: Sequence[Part], scorer: Scorer, *, threads: int = 1, seed: int = 0
) -> dict[str, Any]:
    """The comparison of a scorer with the parts, on the validation questions of a window.

    Returns "questions", "sessions"; "metrics", for each part and "composite" its nDCG@20, recall@20 and MRR@20; "best",
    the part with the highest nDCG@20; "metric", "gain" of the composite over it, and "low" and "high", its 95 %
    interval, paired by session; "better", whether the interval lies above 0.
    """
    cases = window.validation
    histories, targets = all_histories(cases), relevant_items(cases)
    ranks = np.full((len(parts) + 1, len(cases)), np.inf)  # the last is the composite's
    for start in range(0, len(cases), BLOCK):
        block = np.arange(start, min(start + BLOCK, len(cases)))
        queries = histories.take(block)
        lists = [part.lists(queries, part.count, exclude_seen=window.exclude_seen) for part in parts]
        for p, own in enumerate(lists):
            query, place = np.nonzero(own.rows == targets[block, None])
            ranks[p, block[query]] = place + 1
        candidates = merge_lists(lists)
        ranks[-1, block] = target_ranks(candidates, scorer.scores(queries, candidates), targets[block])
    offsets = np.arange(len(cases) + 1)
    values = [ranked_metrics(row, offsets, [K]) for row in ranks]
    names = [part.name for part in parts]
    named = zip([*names, COMPOSITE], values, strict=True)
    means = {name: {metric: float(v[metric].mean()) for metric in METRICS} for name, v in named}
    best = max(range(len(parts)), key=lambda p: means[names[p]][METRIC])
    gain = values[-1][METRIC] - values[best][METRIC]
    session = session_numbers(cases)
    low, high = interval(resampled_means(gain[:, None], session, seed=seed))
    return {
        "questions": len(cases),
        "sessions": len(np.unique(session)),
        "metrics": {name: {m: round(v, 6) for m, v in row.items()} for name, row in means.items()},
        "best": names[best],
        "metric": METRIC,
        "gain": round(float(gain.mean()), 6),
        "low": round(float(low[0]), 6),
        "high": round(float(high[0]), 6),
        "better": bool(low[0] > 0),
    }


COMPOSITE = "composite"  # the key of its metrics


def target_ranks(candidates: Any, scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The rank of each question's target among its candidates by score, from 1, ties ranked before it: (Q,) float64.

    Infinite where the target is no candidate.
    """
    question = candidates.question_of
    hit = candidates.items == targets[question]
    own = np.full(len(targets), np.inf)
    own[question[hit]] = scores[hit]
    ranks = np.bincount(question[scores >= own[question]], minlength=len(targets)).astype(np.float64)
    ranks[np.isinf(own)] = np.inf
    return ranks


def check_better(name: str, about: Mapping[str, Any], *, force: bool) -> None:
    """Raises TargetNotMet, with the metrics of all parts, if a composite is not better than its best part.

    about  of `compare_with_parts`
    force  whether it is to be written all the same
    """
    if about["better"] or force:
        return
    points = [{"model": name if key == COMPOSITE else key, **row} for key, row in about["metrics"].items()]
    raise TargetNotMet(f"{describe_comparison(name, about)}; nothing is written without --force", points)


def describe_comparison(name: str, about: Mapping[str, Any]) -> str:
    """The result of a comparison as a clause: "ndcg@20 .31 against .29 of its best part vstan (…)"."""
    own, best = (about["metrics"][key][about["metric"]] for key in (COMPOSITE, about["best"]))
    return (
        f"{about['metric']} of {name} is {own:.4f}, against {best:.4f} of its best part {about['best']} "
        f"(difference {about['gain']:+.4f}, 95% interval {about['low']:+.4f} to {about['high']:+.4f}, "
        f"{about['questions']:,} questions of {about['sessions']:,} sessions)"
    )
