"""Lists to export, and their values as Python lists."""

from __future__ import annotations

import numpy as np

from embedrec.data import Sessions, Vocab
from embedrec.data.features import Features
from embedrec.data.result_lists import ResultLists
from embedrec.data.topk import TopK, sort_results
from embedrec.export.policies.base import PolicyInputs
from tests.conftest import of_lists

TEXT_FILES = ("l.txt", "l.tsv", "l.jsonl", "l.redis")
Lists = list[list[tuple[int, float]]]  # of each seed the rows of its results and their scores


def some_lists(n: int, k: int, seed: int = 0, full: float = 0.7) -> TopK:
    """Random lists of n items, best first, with ties: the share `full` of them has k results, others have fewer."""
    rng = np.random.default_rng(seed)
    rows = np.full((n, k), -1, dtype=np.int64)
    for row in range(n):
        others = rng.permutation(np.delete(np.arange(n), row))
        count = k if rng.random() < full else int(rng.integers(0, k + 1))
        rows[row, :count] = others[:k][:count]
    scores = np.round(rng.normal(size=(n, k)), 1).astype(np.float32)
    return sort_results(rows, scores, Vocab([f"i{row}" for row in range(n)]))


def lists_of(result: TopK, vocab: Vocab | None = None) -> ResultLists:
    """Result lists with the given rows and scores."""
    vocab = result.vocab if vocab is None else vocab

    def best(rows: np.ndarray, k: int) -> TopK:
        return TopK(result.rows[rows, :k], result.scores[rows, :k], vocab)

    return ResultLists(vocab, vocab, best, result.k)


def inputs_of(vocab: Vocab, sessions: Sessions | None = None, features: Features | None = None) -> PolicyInputs:
    return PolicyInputs(
        vocab,
        lambda: of_lists([], vocab) if sessions is None else sessions,
        lambda: Features(vocab) if features is None else features,
    )


def as_lists(result: TopK) -> Lists:
    """Python lists of (row, score), without missing results."""
    return [
        [(row, score) for row, score in zip(rows, scores, strict=True) if row >= 0]
        for rows, scores in zip(result.rows.tolist(), result.scores.tolist(), strict=True)
    ]


def vocab_with_names(ids: object, *, with_names: bool = True) -> Vocab:
    vocab = Vocab(ids)  # type: ignore[arg-type]
    return Vocab(vocab.ids, np.array([f'"{i}", the\n{i}th' if with_names else "" for i in vocab.ids], dtype=object))
