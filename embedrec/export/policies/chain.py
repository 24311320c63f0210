"""Which policies are wanted, what they need, and how they are put together."""

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
from embedrec.export.policies.backfill import BackOff, Refill
from embedrec.export.policies.base import Policy
from embedrec.export.policies.rerank import Csls, Discount, Diversity, mean_scores
from embedrec.export.policies.session_index import NOTHING, ItemSessionIndex, holding
from embedrec.export.policies.thresholds import MinEvidence, MinScore, Mutual, cap
from embedrec.export.result_lists import slices
from embedrec.export.resume import KeptLists
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.exact_search import unit

_FAR = 4096  # items that may be looked at to fill a list under caps

_BOUNDS = {"min_evidence": (1, 2**31), "csls": (1, 2**31), "discount": (0, 10), "mmr": (0, 1)}
_SUITS = {
    "sessions": ("min_score", "mutual", "csls"),
    "recommendations": ("min_score", "discount", "caps", "mmr", "back_off"),
}


@dataclass(frozen=True)
class Policies(Settings):
    """The policies of an export; None, False or empty for those that are not wanted.

    min_score     see `MinScore`
    min_evidence  see `MinEvidence`
    mutual        see `Mutual`
    csls          nearest whose scores are averaged, see `Csls`
    discount      exponent, see `Discount`
    caps          attribute → results, see `Cap`
    mmr           weight of diversity, see `Diversity`
    back_off      see `BackOff`

    Raises SettingsError for numbers out of range.
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
                raise SettingsError(f"a cap must be at least 1, but is {most} for {attribute!r}")
        if self.min_score is not None and not np.isfinite(self.min_score):
            raise SettingsError(f"min_score must be a number, but is {self.min_score}")

    def wanted(self) -> dict[str, Any]:
        """Those that are wanted, with their settings, in the order in which they come."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in found.items() if not (value is None or value is False or value == {})}

    def check(self, of: str) -> None:
        """Raises SettingsError for policies that do not suit what is exported."""
        for name in self.wanted():
            if of in _SUITS and name not in _SUITS[of]:
                option = "--cap" if name == "caps" else f"--{name.replace('_', '-')}"
                raise SettingsError(f"{option} does not suit an export of {of}; leave it out")

    def described(self) -> str:
        """In words: "min-score 0.5, cap artist=2, back-off"."""
        words = []
        for name, value in self.wanted().items():
            if name == "caps":
                words += [f"cap {attribute}={most}" for attribute, most in value.items()]
            else:
                words.append(name.replace("_", "-") + ("" if value is True else f" {value:g}"))
        return ", ".join(words)


@dataclass(frozen=True, eq=False)
class PolicyInputs:
    """What policies look at; what takes long to make is made when it is asked for.

    vocab     the items (or sessions) that results are rows of
    sessions  the training sessions; raises where there are none
    features  what is known of items; raises where nothing is
    vectors   of the items, where the source has them
    known     histories whose items must not be filled in; None where seeds are items
    allowed   which items may be among results (n,) bool; None where all may
    """

    vocab: Vocab
    sessions: Callable[[], Sessions]
    features: Callable[[], Features]
    vectors: Embeddings | None = None
    known: Sessions | None = None
    allowed: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Chain:
    """Policies in their order.

    policies  applied one after the other
    k         results that are left of each list
    """

    policies: tuple[Policy, ...]
    k: int

    def apply(self, seeds: np.ndarray, found: TopK) -> TopK:
        """The lists (b, k) of seeds (b,), from more results (b, c)."""
        for policy in self.policies:
            found = policy.apply(seeds, found)
        spare = ((0, 0), (0, max(self.k - found.k, 0)))
        rows = np.pad(found.rows, spare, constant_values=-1)[:, : self.k]
        return TopK(rows, np.pad(found.scores, spare, constant_values=-np.inf)[:, : self.k], found.vocab)


def chained(wanted: Policies, k: int, candidates: KeptLists, material: PolicyInputs) -> Chain:
    """The policies that are wanted, ready to be applied to the lists `candidates`.

    Raises SettingsError and ArtifactError where something that they need is missing.
    """
    if wanted.mutual and material.allowed is not None:
        raise SettingsError(
            "mutual looks for items in the lists of those that are left out; leave it or the filter out"
        )
    if (wanted.mutual or wanted.csls) and candidates.q != len(material.vocab):
        raise SettingsError("mutual and csls compare seeds with results, which must be the same items; leave them out")
    sessions, counts = NOTHING, np.zeros(0, dtype=np.int64)
    plain = wanted.mmr is not None and material.vectors is None
    together = wanted.min_evidence is not None or plain or (wanted.back_off and material.known is None)
    if together or wanted.discount is not None or wanted.back_off:
        trained = material.sessions().reindex(material.vocab)
        counts = np.bincount(trained.items, minlength=len(material.vocab))
        sessions = holding(trained, material.vocab) if together else NOTHING
    made: list[Policy] = []
    if wanted.min_score is not None:
        made.append(MinScore(wanted.min_score))
    if wanted.min_evidence is not None:
        made.append(MinEvidence(wanted.min_evidence, sessions))
    if wanted.mutual:
        made.append(Mutual(candidates.mapped()))
    if wanted.csls is not None:
        scores = (candidates.block(here)[1] for here in slices(0, candidates.q))
        made.append(Csls(mean_scores(scores, wanted.csls)))
    if wanted.discount is not None:
        made.append(Discount(wanted.discount, counts))
    features = material.features() if wanted.caps else None
    caps = [cap(most, name, features, material.vocab) for name, most in (wanted.caps or {}).items() if features]
    made += caps
    if wanted.mmr is not None:
        vectors = np.zeros((0, 0), np.float32) if material.vectors is None else unit(material.vectors.vectors)
        made.append(Diversity(wanted.mmr, k, vectors, sessions))
    if wanted.back_off:
        own: ItemSessionIndex | None = sessions if material.known is None else None
        filling = BackOff(k, candidates.k if caps else k, counts, own, material.known, material.allowed)
        far = min(len(material.vocab), max(candidates.k, _FAR))
        made.append(Refill(filling, far, tuple(caps)) if caps else filling)
    return Chain(tuple(made), k)
