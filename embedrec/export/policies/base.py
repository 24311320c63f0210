"""The interface of a policy, what policies are created from, and the two ways to change lists: filter and rescore."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from embedrec.data.features import Features
from embedrec.data.result_lists import CandidateLists
from embedrec.data.sessions import Sessions
from embedrec.data.topk import TopK, sort_results
from embedrec.data.vocab import Vocab
from embedrec.errors import SettingsError
from embedrec.export.policies.session_index import ItemSessionIndex, index_sessions
from embedrec.export.policies.settings import Policies
from embedrec.vectors.embeddings import Embeddings


class Policy(Protocol):
    """One change to lists before they are written."""

    def apply(self, seeds: np.ndarray, lists: TopK) -> TopK:
        """The changed lists.

        seeds  (b,) int64 rows of the seeds
        lists  (b, c) candidates, more than are written, best first
        """
        ...


@dataclass(frozen=True, eq=False)
class PolicyInputs:
    """The data that policies use; sessions and features are loaded on demand.

    vocab     the items (or sessions) of which results are rows
    sessions  the training sessions; raises if there are none
    features  features of the items; raises if there are none
    vectors   of the items, if the source has them
    known     histories whose items are never added; None if the seeds are items
    allowed   which items may be results (n,) bool; None for all
    """

    vocab: Vocab
    sessions: Callable[[], Sessions]
    features: Callable[[], Features]
    vectors: Embeddings | None = None
    known: Sessions | None = None
    allowed: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class PolicyContext:
    """What a policy is created from; sessions are read and indexed at the first use.

    policies    of the whole export
    k           results of each list after all policies
    candidates  the lists before any policy
    """

    policies: Policies
    k: int
    candidates: CandidateLists
    inputs: PolicyInputs

    @cached_property
    def sessions(self) -> Sessions:
        """The training sessions, in the vocabulary of the results."""
        return self.inputs.sessions().reindex(self.inputs.vocab)

    @cached_property
    def counts(self) -> np.ndarray:
        """(n,) occurrences of the items in training."""
        return np.bincount(self.sessions.items, minlength=len(self.inputs.vocab))

    @cached_property
    def item_sessions(self) -> ItemSessionIndex:
        return index_sessions(self.sessions, self.inputs.vocab)

    def check_same_items(self) -> None:
        """Raises SettingsError unless the seeds are all the items that results are from."""
        if self.candidates.q != len(self.inputs.vocab):
            raise SettingsError("mutual and csls need seeds and results to be the same items; leave them out")


def filter_results(lists: TopK, keep: np.ndarray) -> TopK:
    """The results where keep (b, c) is true, moved to the left."""
    keep = keep & (lists.rows >= 0)
    order = np.argsort(~keep, axis=1, kind="stable")
    rows = np.take_along_axis(np.where(keep, lists.rows, -1), order, 1)
    scores = np.take_along_axis(np.where(keep, lists.scores, -np.inf), order, 1)
    return TopK(rows, scores, lists.vocab)


def rescore(lists: TopK, scores: np.ndarray) -> TopK:
    """The same results with other scores (b, c), sorted by them."""
    return sort_results(lists.rows, scores, lists.vocab)
