"""What it costs that FAISS proposes: the newest sessions are asked for, with and without it."""

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
from embedrec.models.session_knn.model import Proposals, SessionKnnModel
from embedrec.models.session_knn.store import SessionStore

NEAREST = 100  # neighbours that ought to be proposed
_TARGET = 0.95  # share of them that are
_ASKED = 1000  # sessions
_K = 20


class Restore(Protocol):
    """Makes the model of a recipe with some other settings."""

    def __call__(self, arrays: Arrays, **changes: Any) -> SessionKnnModel: ...


def checked(
    restore: Restore, proposed: int, vocab: Vocab, arrays: Arrays, ann: SessionAnn, *, seed: int
) -> tuple[SessionAnn, dict[str, Any]]:
    """The index with as many cells a search as it takes, and what was measured.

    The newest sessions, a thousand or a tenth of all, are taken away; a part of each is the history, the next item the
    target. Cells are doubled until .95 of the 100 nearest sessions are found, or a quarter of all is visited; another
    session that is as similar is as good.

    Returns the facts "asked", "candidates", "nprobe", "nearest_found" (share of the 100 most similar of all sessions
    that are proposed), "recall@20", "mrr@20" with proposals, "recall@20_lists", "mrr@20_lists" without, "query_ms".
    """
    store = SessionStore.restored(arrays, len(vocab))
    keep = np.ones(len(store), dtype=bool)
    keep[len(store) - min(_ASKED, len(store) // 10) :] = False
    histories, targets = _questions(store, keep, vocab, np.random.default_rng(seed))
    facts: dict[str, Any] = {"asked": len(targets), "candidates": proposed}
    if not len(targets):
        return ann, {**facts, "nprobe": ann.nprobe}
    rest = dict(arrays) | store.where(keep).arrays
    lists = restore(rest, candidates="lists")
    everyone = restore(rest, candidates="lists", sample=0)
    nearest = min(NEAREST, int(keep.sum()))
    exact = everyone.neighbours(histories, nearest)[1]
    while True:
        model = _proposing(lists, ann, proposed, keep)
        found = _share(model.neighbours(histories, nearest)[1], exact)
        if found >= _TARGET or 4 * ann.nprobe >= ann.cells:
            break
        ann = replace(ann, nprobe=2 * ann.nprobe)
    started = perf_counter()
    model.recommend(histories, min(_K, len(vocab)))
    seconds = perf_counter() - started
    facts |= {"nprobe": ann.nprobe, "nearest_found": round(found, 4)}
    for asked, name in ((model, ""), (lists, "_lists")):
        recall, mrr = _quality(asked, histories, targets, exclude_seen=not (store.items < 0).any())
        facts |= {f"recall@{_K}{name}": round(recall, 4), f"mrr@{_K}{name}": round(mrr, 4)}
    return ann, {**facts, "query_ms": round(1000 * seconds / len(targets), 3)}


def _questions(
    store: SessionStore, keep: np.ndarray, vocab: Vocab, rng: np.random.Generator
) -> tuple[Sessions, np.ndarray]:
    """Of every session taken away with two events, the first ones and the row of the next: histories, (q,) targets."""
    sessions = store.sessions(vocab)
    asked = np.flatnonzero(~keep & (sessions.lengths > 1))
    lengths = rng.integers(1, sessions.lengths[asked])
    return sessions.take(asked, lengths), sessions.items[sessions.offsets[asked] + lengths]


def _proposing(model: SessionKnnModel, ann: SessionAnn, count: int, keep: np.ndarray) -> SessionKnnModel:
    """A model of the sessions of a mask that stand first, to which an index of all proposes."""

    def propose(histories: Sessions, count: int) -> np.ndarray:
        found = ann.near(histories, min(count + int((~keep).sum()), len(keep)))
        gone = (found < 0) | ~keep[found]
        order = np.argsort(gone, axis=1, kind="stable")[:, :count]  # the nearest that are left
        return np.where(gone, np.int32(-1), found)[np.arange(len(found))[:, None], order]

    return replace(model, proposals=Proposals(propose, count))


def _share(found: np.ndarray, exact: np.ndarray) -> float:
    """Share of the similarities (q, k) of the nearest sessions that are reached, −inf for missing."""
    there = np.isfinite(exact)
    last = np.where(there, exact, np.inf).min(axis=1, keepdims=True)  # (q, 1)
    reached = (found >= last * (1 - 1e-9)).sum(axis=1)
    return float(np.minimum(reached, there.sum(axis=1)).sum() / max(1, there.sum()))


def _quality(
    model: SessionKnnModel, histories: Sessions, targets: np.ndarray, *, exclude_seen: bool
) -> tuple[float, float]:
    """Recall and mean reciprocal rank of the targets (q,) among the best 20."""
    rows = model.recommend(histories, min(_K, len(model.vocab)), exclude_seen=exclude_seen).rows
    hit = rows == targets[:, None]
    ranks = np.where(hit.any(axis=1), 1 + hit.argmax(axis=1), np.inf)
    values = ranked_metrics(ranks, np.arange(len(ranks) + 1), [_K])
    return float(values[f"recall@{_K}"].mean()), float(values[f"mrr@{_K}"].mean())
