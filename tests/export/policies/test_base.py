"""The context of policies, and the two changes of lists: filter and rescore."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embedrec.data import Sessions, Vocab
from embedrec.data.topk import TopK
from embedrec.errors import SettingsError
from embedrec.export.policies.base import PolicyContext, PolicyInputs, filter_results, rescore
from embedrec.export.policies.settings import Policies
from embedrec.export.resume import StoredLists
from tests.conftest import of_lists, read_only
from tests.export.lists import as_lists, inputs_of

VOCAB = Vocab([*"abcd"])
LISTS = TopK(
    read_only(np.array([[1, 2, 3], [0, -1, -1], [3, 0, -1]])),
    read_only(np.array([[0.9, 0.5, 0.1], [0.7, -np.inf, -np.inf], [0.3, 0.2, -np.inf]], dtype=np.float32)),
    VOCAB,
)


def test_filtered_results_move_to_the_left() -> None:
    keep = np.array([[False, True, True], [True, True, True], [False, False, True]])
    result = filter_results(LISTS, keep)
    assert result.rows.tolist() == [[2, 3, -1], [0, -1, -1], [-1, -1, -1]]
    assert [[round(score, 5) for _, score in results] for results in as_lists(result)] == [[0.5, 0.1], [0.7], []]
    assert np.isneginf(result.scores[result.rows < 0]).all()


def test_rescored_results_are_sorted() -> None:
    """Ties are in the order of rows; missing results stay last."""
    scores = np.array([[0, 2, 1], [5, 0, 0], [1, 1, 0]], dtype=np.float32)
    scores[LISTS.rows < 0] = -np.inf
    result = rescore(LISTS, scores)
    assert result.rows.tolist() == [[2, 3, 1], [0, -1, -1], [0, 3, -1]]
    assert as_lists(result) == [[(2, 2), (3, 1), (1, 0)], [(0, 5)], [(0, 1), (3, 1)]]


def context_of(sessions: Sessions, seeds: int = 4) -> PolicyContext:
    return PolicyContext(Policies(), 2, StoredLists(Path("unused"), "candidates", seeds, 3), inputs_of(VOCAB, sessions))


def test_sessions_have_the_vocabulary_of_the_results() -> None:
    context = context_of(of_lists(["dax", "aad", "x"]))
    assert [items.tolist() for items in context.sessions] == [[3, 0], [0, 0, 3], []]
    assert context.counts.tolist() == [3, 0, 0, 2]
    index = context.item_sessions
    assert index.sessions[index.starts[0] : index.starts[1]].tolist() == [0, 1]


def test_sessions_are_read_at_the_first_use_and_once() -> None:
    reads: list[int] = []

    def sessions() -> Sessions:
        reads.append(1)
        return of_lists(["ab"], VOCAB)

    inputs = PolicyInputs(VOCAB, sessions, inputs_of(VOCAB).features)
    context = PolicyContext(Policies(), 2, StoredLists(Path("unused"), "candidates", 4, 3), inputs)
    assert reads == []
    assert (context.counts.tolist(), len(context.sessions), len(context.item_sessions.starts)) == ([1, 1, 0, 0], 1, 5)
    assert reads == [1]


def test_policies_that_need_all_items_as_seeds() -> None:
    context_of(of_lists([], VOCAB)).check_same_items()
    with pytest.raises(SettingsError) as error:
        context_of(of_lists([], VOCAB), seeds=3).check_same_items()
    assert str(error.value) == "mutual and csls need seeds and results to be the same items; leave them out"
