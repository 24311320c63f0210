"""The obvious twins of the session kNNs: one past session after the other, in dicts and Python's own numbers."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from math import exp, log, log10, sqrt
from typing import Any

import numpy as np

from embedrec.models.session_knn.variants import SKNN, SSCF, STAN, VMIS, VSKNN, VSTAN
from embedrec.models.session_knn.wsknn import WSKNN

DAY = 86_400_000


@dataclass
class Past:
    """A training session."""

    items: list[str]
    times: list[int] | None = None  # ms
    weights: list[float] | None = None
    kinds: list[str] | None = None


Scores = dict[str, float]
Neighbours = list[tuple[int, float]]  # number of the session, similarity


def slow(recipe: Any, past: list[Past], history: list[str], now: int | None, columns: int) -> tuple[Neighbours, Scores]:
    """The neighbours of a history, best first, and the scores of their items."""
    if isinstance(recipe, VMIS):
        return slow_vmis(recipe, past, history)
    rank = ranks(recipe, past)
    able = [s for s in range(len(past)) if past[s].items]
    if isinstance(recipe, WSKNN) and recipe.required_event is not None:
        able = [s for s in able if recipe.required_event in (past[s].kinds or [])]
    shared = {s: set(past[s].items) & set(history) for s in able}
    pool = sorted((s for s in able if shared[s]), key=lambda s: -rank[s])
    size = recipe.sample or len(past)
    if isinstance(recipe, WSKNN) and recipe.sampling == "common_items":
        sign = 1 if recipe.compat == "wsknn" else -1
        pool = sorted(pool, key=lambda s: (sign * len(shared[s]), -rank[s]))
    pool = pool[:size]
    newest = max((p.times[-1] for p in past if p.times), default=0)
    similarity = {s: similar(recipe, past[s], history, newest if now is None else now) for s in pool}
    near = nearest(similarity, rank)[: recipe.neighbours]
    return near, scored(recipe, past, history, near, columns)


def ranks(recipe: Any, past: list[Past]) -> dict[int, int]:
    """Sessions by preference: the higher, the more."""

    def time(s: int) -> float:
        times = past[s].times
        if times is None:
            return 0
        if not times:
            return -np.inf
        return (
            times[0] if getattr(recipe, "compat", "") == "wsknn" and recipe.sampling != "weighted_events" else times[-1]
        )

    def weight(s: int) -> float:
        if getattr(recipe, "sampling", "") != "weighted_events":
            return 0.0
        return float(np.mean(past[s].weights)) if past[s].weights else 0.0

    order = sorted(range(len(past)), key=lambda s: (weight(s), time(s), s))
    return {s: place for place, s in enumerate(order)}


def nearest(similarity: dict[int, float], rank: dict[int, int]) -> Neighbours:
    there = [(s, sim) for s, sim in similarity.items() if sim > 0]
    return sorted(there, key=lambda pair: (-float(f"{pair[1]:.9e}"), -rank[pair[0]]))


def place(history: list[str], item: str) -> int:
    """The last place of an item in a history, from 1."""
    return max(p for p, other in enumerate(history, start=1) if other == item)


def step(history: list[str], items: list[str]) -> int:
    """How far from the end of the history, from 1, the latest item stands that a session holds too."""
    return min(len(history) - place(history, i) + 1 for i in set(history) & set(items))


def curve_at_place(kind: str, p: int, length: int, peer: bool) -> float:
    linear = 1 - 0.1 * (length - p)
    return {
        "same": lambda: 1.0,
        "div": lambda: p / length,
        "linear": lambda: (linear if p <= 10 else 0.0) if peer else max(0.0, linear),
        "quadratic": lambda: (p / length) ** 2,
        "log": lambda: 1 / log10(length - p + 1.7),
    }[kind]()


def curve_at_step(kind: str, at: int, peer: bool) -> float:
    return {
        "same": lambda: 1.0,
        "div": lambda: 1 / at,
        "linear": lambda: (1 - 0.1 * at if at <= 100 else 0.0) if peer else max(0.0, 1 - 0.1 * at),
        "quadratic": lambda: 1 / at**2,
        "log": lambda: 1 / log10(at + 1.7),
    }[kind]()


def similar(recipe: Any, other: Past, history: list[str], now: int) -> float:
    s, n = set(history), set(other.items)
    common = len(s & n)
    if isinstance(recipe, SKNN):
        cosine = common / sqrt(len(s) * len(n))
        return {
            "jaccard": common / len(s | n),
            "binary": 2 * common / (2 * common + len(s) + len(n)),
            "cosine": common / sqrt(len(n)) * sqrt(len(s)) if recipe.compat == "session-rec" else cosine,
        }[recipe.similarity]
    if isinstance(recipe, SSCF):
        mine, theirs = Counter(history), Counter(other.items)
        dot = sum(mine[i] * theirs[i] for i in mine)
        return dot / sqrt(sum(c * c for c in mine.values()) * sum(c * c for c in theirs.values()))
    w = weights(recipe, history)
    total = sum(w[i] for i in s & n)
    if isinstance(recipe, WSKNN) or (isinstance(recipe, VSKNN) and recipe.similarity == "vec"):
        return total / len(s)
    norm = sqrt(sum(value**2 for value in w.values()))
    cosine = total / (norm * sqrt(len(n))) if norm else 0.0
    if isinstance(recipe, STAN) and recipe.snh is not None:
        assert other.times
        age = (now - other.times[-1]) / DAY
        cosine *= exp(-(age if recipe.compat == "session-rec" else max(age, 0.0)) / recipe.snh)
    return cosine


def weights(recipe: Any, history: list[str]) -> dict[str, float]:
    """What every item of a history counts."""
    length, places = len(history), {i: place(history, i) for i in history}
    if isinstance(recipe, VSKNN):
        return {i: curve_at_place(recipe.position, p, length, recipe.compat != "none") for i, p in places.items()}
    if isinstance(recipe, STAN):
        return {i: 1.0 if recipe.spw is None else exp((p - length) / recipe.spw) for i, p in places.items()}
    assert isinstance(recipe, WSKNN)
    off = 1 if recipe.compat == "wsknn" else 0
    formulas: dict[str, Callable[[int], float]] = {
        "linear": lambda p: (p + off) / length,
        "log": lambda p: 1 / log10(length - p + 2.7 - off) * log10(2.7),
        "quadratic": lambda p: (p / length) ** 2,
    }
    return {i: formulas[recipe.weighting](p) for i, p in places.items()}


def gain(recipe: Any, history: list[str], items: list[str]) -> float:
    """What a neighbour's similarity is multiplied with."""
    at = step(history, items)
    if isinstance(recipe, VSKNN) or (isinstance(recipe, SKNN) and recipe.scoring == "last-shared"):
        return curve_at_step(recipe.decay, at, recipe.compat != "none")
    if isinstance(recipe, VSTAN) and recipe.ipw is not None:
        return exp((1 - at) / recipe.ipw)
    if isinstance(recipe, WSKNN):
        formulas: dict[str, Callable[[], float]] = {
            "linear": lambda: (1 - 0.1 * at if at < 10 else 0) / 0.9,
            "inv": lambda: 1 / at,
            "log": lambda: 1 / log10(at + 1.7) * log10(2.7),
            "quadratic": lambda: 1 / at**2,
        }
        return formulas[recipe.ranking]()
    return 1.0


def scored(recipe: Any, past: list[Past], history: list[str], near: Neighbours, columns: int) -> Scores:
    scores: Scores = defaultdict(float)
    for number, similarity in near:
        items = past[number].items
        worth = similarity * gain(recipe, history, items)
        many = isinstance(recipe, SSCF) or (isinstance(recipe, WSKNN) and recipe.compat == "wsknn")
        for item in items if many else set(items):
            value = worth
            if isinstance(recipe, STAN) and recipe.inh is not None:
                star = max(p for p, i in enumerate(items) if i in history)
                last = max(p for p, i in enumerate(items) if i == item)
                value *= exp(-abs(last - star) / recipe.inh)
            scores[item] += value
    if isinstance(recipe, SKNN) and recipe.scoring == "followers":
        after = {b for p in past for a, b in zip(p.items, p.items[1:], strict=False) if a == history[-1]}
        return {i: score for i, score in scores.items() if i in after}
    if isinstance(recipe, SSCF):
        return centred(recipe, past, history, near, scores, columns)
    if isinstance(recipe, VSKNN | VSTAN) and recipe.idf:
        sessions = sum(1 for p in past if p.items)
        for i in scores:
            held = sum(p.items.count(i) if recipe.compat == "session-rec" else i in p.items for p in past)
            scores[i] *= 1 + recipe.idf * log(sessions / held)
    return scores


def centred(recipe: SSCF, past: list[Past], history: list[str], near: Neighbours, sums: Scores, n: int) -> Scores:
    def mean(items: list[str]) -> float:
        over = {"none": None, "all": n, "rated": len(set(items))}[recipe.center]
        return len(items) / over if over else 0.0

    total = sum(similarity for _, similarity in near) or 1.0
    return {
        i: mean(history)
        + sum(similarity * (past[s].items.count(i) - mean(past[s].items)) for s, similarity in near) / total
        for i in sums
    }


def slow_vmis(recipe: VMIS, past: list[Past], history: list[str]) -> tuple[Neighbours, Scores]:
    """As Serenade does it: a map of at most m sessions and a heap by recency, lists read until they get too old."""
    rank = ranks(recipe, past)
    sizes = [len(set(p.items)) for p in past if p.items]
    longest = round(float(np.quantile(sizes, recipe.longest))) if sizes else 0
    able = [s for s in range(len(past)) if past[s].items and len(set(past[s].items)) <= longest]
    lists = {i: sorted((s for s in able if i in past[s].items), key=lambda s: -rank[s]) for i in "abcdef"}
    recent, m = history[-recipe.last_items :], recipe.sample or len(past)
    held: dict[int, float] = {}
    heap: list[tuple[int, int]] = []
    for item in dict.fromkeys(reversed(recent)):
        weight = place(recent, item) / len(set(recent))
        for s in lists[item][:m]:
            if s in held:
                held[s] += weight
            elif len(held) < m:
                held[s] = weight
                heapq.heappush(heap, (rank[s], s))
            elif rank[s] > heap[0][0]:
                del held[heapq.heapreplace(heap, (rank[s], s))[1]]
                held[s] = weight
            else:
                break
    near = nearest(held, rank)[: recipe.neighbours]
    events = sum(len(x) for x in lists.values())
    scores: Scores = defaultdict(float)
    for s, similarity in near:
        decay = 1 - 0.1 * step(recent, past[s].items)
        for item in set(past[s].items):
            idf = log(events / len(lists[item])) * recipe.idf
            worth = decay if recipe.compat == "serenade" else max(0.0, decay)
            scores[item] += worth * similarity * (idf if idf > 0 else 1.0)
    return near, scores
