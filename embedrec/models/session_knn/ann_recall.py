"""Recall of FAISS candidates, measured on the newest sessions, with and without FAISS."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import Any, Protocol

import numpy as np

from embedrec.data.ranking_metrics import ranked_metrics
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.models.base import Arrays
from embedrec.models.session_knn.ann_candidates import SessionAnn
from embedrec.models.session_knn.model import CandidateSource, SessionKnnModel
from embedrec.models.session_knn.store import SessionStore

NEAREST = 100  # nearest sessions whose share among the candidates is measured
TARGET_RECALL = 0.95  # target of that share
_TEST_SESSIONS = 1000  # sessions
_K = 20


class BuildModel(Protocol):
    """Builds the model of a recipe with changed settings."""

    def __call__(self, arrays: Arrays, **changes: Any) -> SessionKnnModel: ...


def tune_probes(
    build: BuildModel, count: int, vocab: Vocab, arrays: Arrays, ann: SessionAnn, *, seed: int
) -> tuple[SessionAnn, dict[str, Any]]:
    """The index with nprobe tuned, and the measurements.

    The newest sessions, 1,000 or a tenth of all, are held out; a prefix of each is the history, the next item the
    target. nprobe is doubled until .95 of the 100 nearest sessions are candidates, or a quarter of the cells is
    visited; another session of equal similarity counts too.

    count  candidates that FAISS generates

    Returns the measurements "asked" (test cases), "candidates", "nprobe", "nearest_found" (share of the 100 nearest of
    all sessions that are candidates), "recall@20", "mrr@20" with FAISS, "recall@20_lists", "mrr@20_lists" without,
    "query_ms".
    """
    store = SessionStore.from_arrays(arrays, len(vocab))
    keep = np.ones(len(store), dtype=bool)
    keep[len(store) - min(_TEST_SESSIONS, len(store) // 10) :] = False
    histories, targets = _test_cases(store, keep, vocab, np.random.default_rng(seed))
    measurements: dict[str, Any] = {"asked": len(targets), "candidates": count}
    if not len(targets):
        return ann, {**measurements, "nprobe": ann.nprobe}
    remaining = dict(arrays) | store.filter(keep).arrays
    lists = build(remaining, candidates="lists")
    exact_model = build(remaining, candidates="lists", sample=0)
    nearest = min(NEAREST, int(keep.sum()))
    exact = exact_model.neighbours(histories, nearest)[1]
    while True:
        model = _with_candidates(lists, ann, count, keep)
        recall_of_nearest = _neighbour_recall(model.neighbours(histories, nearest)[1], exact)
        if recall_of_nearest >= TARGET_RECALL or 4 * ann.nprobe >= ann.cells:
            break
        ann = replace(ann, nprobe=2 * ann.nprobe)
    started = perf_counter()
    model.recommend(histories, min(_K, len(vocab)))
    seconds = perf_counter() - started
    measurements |= {"nprobe": ann.nprobe, "nearest_found": round(recall_of_nearest, 4)}
    for variant, name in ((model, ""), (lists, "_lists")):
        recall, mrr = _quality(variant, histories, targets, exclude_seen=not (store.items < 0).any())
        measurements |= {f"recall@{_K}{name}": round(recall, 4), f"mrr@{_K}{name}": round(mrr, 4)}
    return ann, {**measurements, "query_ms": round(1000 * seconds / len(targets), 3)}


def _test_cases(
    store: SessionStore, keep: np.ndarray, vocab: Vocab, rng: np.random.Generator
) -> tuple[Sessions, np.ndarray]:
    """A random prefix of each held-out session and the row of its next item: histories, (q,) targets."""
    sessions = store.sessions(vocab)
    chosen = np.flatnonzero(~keep & (sessions.lengths > 1))
    lengths = rng.integers(1, sessions.lengths[chosen])
    return sessions.take(chosen, lengths), sessions.items[sessions.offsets[chosen] + lengths]


def _with_candidates(model: SessionKnnModel, ann: SessionAnn, count: int, keep: np.ndarray) -> SessionKnnModel:
    """A model of the sessions of a mask, which are the first ones, with candidates from an index of all sessions."""

    def generate(histories: Sessions, count: int) -> np.ndarray:
        nearest = ann.search(histories, min(count + int((~keep).sum()), len(keep)))
        removed = (nearest < 0) | ~keep[nearest]
        order = np.argsort(removed, axis=1, kind="stable")[:, :count]  # the nearest of the mask
        return np.where(removed, np.int32(-1), nearest)[np.arange(len(nearest))[:, None], order]

    return replace(model, candidate_source=CandidateSource(generate, count))


def _neighbour_recall(similarities: np.ndarray, exact: np.ndarray) -> float:
    """Share of the exact similarities (q, k), −inf for missing, that are reached."""
    exists = np.isfinite(exact)
    last = np.where(exists, exact, np.inf).min(axis=1, keepdims=True)  # (q, 1)
    reached = (similarities >= last * (1 - 1e-9)).sum(axis=1)
    return float(np.minimum(reached, exists.sum(axis=1)).sum() / max(1, exists.sum()))


def _quality(
    model: SessionKnnModel, histories: Sessions, targets: np.ndarray, *, exclude_seen: bool
) -> tuple[float, float]:
    """Recall and mean reciprocal rank of the targets (q,) among the best 20."""
    rows = model.recommend(histories, min(_K, len(model.vocab)), exclude_seen=exclude_seen).rows
    hit = rows == targets[:, None]
    ranks = np.where(hit.any(axis=1), 1 + hit.argmax(axis=1), np.inf)
    values = ranked_metrics(ranks, np.arange(len(ranks) + 1), [_K])
    return float(values[f"recall@{_K}"].mean()), float(values[f"mrr@{_K}"].mean())
