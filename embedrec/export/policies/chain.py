"""The settings of policies, their inputs, and the chain that applies them in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from embedrec.config import Settings, check_bounds
from embedrec.data.features import Features
from embedrec.data.sessions import Sessions
from embedrec.data.topk import TopK
from embedrec.data.vocab import Vocab
from embedrec.errors import SettingsError
from embedrec.export.policies.backfill import BackOff, CappedBackOff
from embedrec.export.policies.base import Policy
from embedrec.export.policies.rerank import Csls, Discount, Diversity, mean_scores
from embedrec.export.policies.session_index import EMPTY, ItemSessionIndex, index_sessions
from embedrec.export.policies.thresholds import MinEvidence, MinScore, Mutual, cap_feature
from embedrec.export.result_lists import slices
from embedrec.export.resume import StoredLists
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.exact_search import unit

_MAX_REACH = 4096  # items considered when filling a list under caps

_BOUNDS = {"min_evidence": (1, 2**31), "csls": (1, 2**31), "discount": (0, 10), "mmr": (0, 1)}
_SUITS = {
    "sessions": ("min_score", "mutual", "csls"),
    "recommendations": ("min_score", "discount", "caps", "mmr", "back_off"),
}


@dataclass(frozen=True)
class Policies(Settings):
    """The policies of an export; None, False or empty turns one off.

    min_score     see `MinScore`
    min_evidence  see `MinEvidence`
    mutual        see `Mutual`
    csls          neighbours over which scores are averaged, see `Csls`
    discount      exponent, see `Discount`
    caps          attribute → maximum results, see `Cap`
    mmr           weight of diversity, see `Diversity`
    back_off      see `BackOff`

    Raises SettingsError for values out of range.
    """

    min_score: float | None = None
    min_evidence: int | None = None
    mutual: bool = False
    csls: int | None = None
    discount: float | None = None
    caps: Mapping[str, int] | None = None
    mmr: float | None = None
    back_off: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self, _BOUNDS)
        for attribute, most in (self.caps or {}).items():
            if most < 1:
                raise SettingsError(f"a cap must be at least 1; it is {most} for {attribute!r}")
        if self.min_score is not None and not np.isfinite(self.min_score):
            raise SettingsError(f"min_score must be a finite number; it is {self.min_score}")

    def enabled(self) -> dict[str, Any]:
        """The policies that are on, with their settings, in the order of application."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if not (value is None or value is False or value == {})}

    def check(self, of: str) -> None:
        """Raises SettingsError for policies that an export of "items", "sessions" or "recommendations" cannot have."""
        for name in self.enabled():
            if of in _SUITS and name not in _SUITS[of]:
                option = "--cap" if name == "caps" else f"--{name.replace('_', '-')}"
                raise SettingsError(f"{option} cannot be used with --of {of}; leave it out")

    def describe(self) -> str:
        """One line: "min-score 0.5, cap artist=2, back-off"."""
        words = []
        for name, value in self.enabled().items():
            if name == "caps":
                words += [f"cap {attribute}={most}" for attribute, most in value.items()]
            else:
                words.append(name.replace("_", "-") + ("" if value is True else f" {value:g}"))
        return ", ".join(words)


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
class Chain:
    """A sequence of policies.

    policies  in the order of application
    k         results of each list after all policies
    """

    policies: tuple[Policy, ...]
    k: int

    def apply(self, seeds: np.ndarray, lists: TopK) -> TopK:
        """The lists (b, k) of seeds (b,), from candidates (b, c)."""
        for policy in self.policies:
            lists = policy.apply(seeds, lists)
        padding = ((0, 0), (0, max(self.k - lists.k, 0)))
        rows = np.pad(lists.rows, padding, constant_values=-1)[:, : self.k]
        return TopK(rows, np.pad(lists.scores, padding, constant_values=-np.inf)[:, : self.k], lists.vocab)


def build_chain(policies: Policies, k: int, candidates: StoredLists, inputs: PolicyInputs) -> Chain:
    """Build the chain of the enabled policies for the lists `candidates`.

    Raises SettingsError and ArtifactError if an input of a policy is missing.
    """
    if policies.mutual and inputs.allowed is not None:
        raise SettingsError("mutual needs the lists of all items, but a filter excludes some; leave out one of them")
    if (policies.mutual or policies.csls) and candidates.q != len(inputs.vocab):
        raise SettingsError("mutual and csls need seeds and results to be the same items; leave them out")
    item_sessions, counts = EMPTY, np.zeros(0, dtype=np.int64)
    mmr_by_sessions = policies.mmr is not None and inputs.vectors is None
    indexed = policies.min_evidence is not None or mmr_by_sessions or (policies.back_off and inputs.known is None)
    if indexed or policies.discount is not None or policies.back_off:
        sessions = inputs.sessions().reindex(inputs.vocab)
        counts = np.bincount(sessions.items, minlength=len(inputs.vocab))
        item_sessions = index_sessions(sessions, inputs.vocab) if indexed else EMPTY
    chain: list[Policy] = []
    if policies.min_score is not None:
        chain.append(MinScore(policies.min_score))
    if policies.min_evidence is not None:
        chain.append(MinEvidence(policies.min_evidence, item_sessions))
    if policies.mutual:
        chain.append(Mutual(candidates.mapped()))
    if policies.csls is not None:
        scores = (candidates.block(part)[1] for part in slices(0, candidates.q))
        chain.append(Csls(mean_scores(scores, policies.csls)))
    if policies.discount is not None:
        chain.append(Discount(policies.discount, counts))
    features = inputs.features() if policies.caps else None
    caps = [cap_feature(most, name, features, inputs.vocab) for name, most in (policies.caps or {}).items() if features]
    chain += caps
    if policies.mmr is not None:
        vectors = np.zeros((0, 0), np.float32) if inputs.vectors is None else unit(inputs.vectors.vectors)
        chain.append(Diversity(policies.mmr, k, vectors, item_sessions))
    if policies.back_off:
        co_occurring: ItemSessionIndex | None = item_sessions if inputs.known is None else None
        back_off = BackOff(k, candidates.k if caps else k, counts, co_occurring, inputs.known, inputs.allowed)
        max_reach = min(len(inputs.vocab), max(candidates.k, _MAX_REACH))
        chain.append(CappedBackOff(back_off, max_reach, tuple(caps)) if caps else back_off)
    return Chain(tuple(chain), k)
