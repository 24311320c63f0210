"""Content to publish, and its values as Python lists."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from embedrec.data import Vocab
from embedrec.data.result_lists import ResultLists
from embedrec.data.topk import TopK
from embedrec.publish.content import PublishContent
from embedrec.vectors.embeddings import Embeddings


def content(
    n: int = 12, k: int = 3, seed: int = 0, *, d: int = 4, ids: Any = None, parts: str = "both", short: bool = True
) -> PublishContent:
    """n items with neighbours drawn at random, and random vectors; `short` lists of some items end early."""
    rng = np.random.default_rng(seed)
    rows = read_only(
        np.argsort(rng.random((n, n)) + np.eye(n) * 9, axis=1)[:, : min(k, n - 1)] if n < 3000 else _far(n, k, rng)
    )
    scores = read_only(-np.sort(-rng.random(rows.shape).astype(np.float32), axis=1))
    if short:
        rows, scores = rows.copy(), scores.copy()
        for r in range(0, n, 5):
            rows[r, r % rows.shape[1] :], scores[r, r % rows.shape[1] :] = -1, -np.inf
    vocab = Vocab([f"item:{i} ä" for i in range(n)] if ids is None else ids)
    vectors = Embeddings(read_only(rng.normal(size=(n, d)).astype(np.float32)), vocab)

    def neighbours(queries: np.ndarray, max_k: int) -> TopK:
        return TopK(rows[queries, :max_k], scores[queries, :max_k], vocab)

    return PublishContent(
        None if parts == "vectors" else ResultLists(vocab, vocab, neighbours, n - 1),
        None if parts == "neighbours" else vectors,
        k,
        {"made_from": f"{n} {k} {seed} {d} {ids}"},
    )


def read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def _far(n: int, k: int, rng: np.random.Generator) -> np.ndarray:
    """(n, k) neighbours of many items: those at k distances, not the item itself."""
    return (np.arange(n)[:, None] + 1 + rng.choice(n - 1, size=k, replace=False)) % n


def lists(publication: PublishContent) -> dict[Any, list[Any]]:
    """Slow reference of the published content: the neighbours of every item."""
    return {item: [other for other, _ in pairs] for item, pairs in scored_lists(publication).items()}


def scored_lists(publication: PublishContent) -> dict[Any, list[tuple[Any, float]]]:
    """The same with scores."""
    ids, result = publication.vocab.ids.tolist(), {}
    assert publication.lists is not None
    top = publication.lists.of(np.arange(len(ids)), publication.k)
    for item, rows, scores in zip(ids, top.rows.tolist(), top.scores.tolist(), strict=True):
        result[item] = [(ids[row], score) for row, score in zip(rows, scores, strict=True) if row >= 0]
    return result


def turned(publication: PublishContent, day: int) -> PublishContent:
    """The content of a day, which turns the results of one of 25 items around."""
    lists = publication.lists
    assert lists is not None

    def best(queries: np.ndarray, max_k: int) -> TopK:
        top = lists.of(queries, max_k)
        changed = (queries % 25 == day)[:, None]
        return TopK(np.where(changed, top.rows[:, ::-1], top.rows), top.scores, top.vocab)

    return replace(publication, lists=replace(lists, best=best), made_from={"day": day})


def of_lists(pairs: dict[str, list[tuple[str, float]]]) -> PublishContent:
    """The content whose items have these neighbours and scores."""
    vocab, k = Vocab(list(pairs)), max(1, *map(len, pairs.values()))
    rows, scores = np.full((len(vocab), k), -1), np.full((len(vocab), k), -np.inf, np.float32)
    for row, others in enumerate(pairs.values()):
        rows[row, : len(others)] = vocab.rows([other for other, _ in others]) if others else []
        scores[row, : len(others)] = [score for _, score in others]

    def best(queries: np.ndarray, max_k: int) -> TopK:
        return TopK(rows[queries, :max_k], scores[queries, :max_k], vocab)

    return PublishContent(ResultLists(vocab, vocab, best, k), None, k, {"made_from": repr(pairs)})
