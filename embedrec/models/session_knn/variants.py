"""Variants of session kNN: similarity of sessions, and scores of the neighbours' items. `base` has the common part.

Notation: history s of L items, p the last place of an item in it from 1; neighbour n, |n| its distinct items; `step`
is the distance, from 1, from the end of s to the latest item that n contains too. Where the authors' code differs from
the paper, the paper is followed; `compat` names the code to follow instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from embedrec.config import check_bounds
from embedrec.data.events import DAY
from embedrec.data.sessions import Sessions
from embedrec.errors import SettingsError
from embedrec.models.session_knn.base import SessionKnn
from embedrec.models.session_knn.store import SessionStore

if TYPE_CHECKING:
    from embedrec.kernels.session_formulas import KnnFormula

Curve = Literal["same", "div", "linear", "quadratic", "log"]
Compat = Literal["none", "session-rec"]


@dataclass(frozen=True)
class SKNN(SessionKnn):
    """Sessions as sets (Jannach & Ludewig 2017), and S-SKNN and SF-SKNN (Ludewig & Jannach 2018): a `scoring` each.

    neighbours  number of neighbours: the most similar sessions; ties by recency
    sample      candidates for neighbours: the newest sessions that share an item with the history; 0 for all
    similarity  "cosine" |s∩n|/√(|s||n|), "jaccard" |s∩n|/|s∪n|, "binary" 2|s∩n|/(2|s∩n| + |s| + |n|)
    scoring     "plain": an item's score is the sum of the similarities of the neighbours that contain it
                "last-shared": the sum of similarity times `decay` of the step (S-SKNN)
                "followers": as plain, but only items that directly followed the last item in training (SF-SKNN)
    decay       of "last-shared": same 1, div 1/step, linear 1 − step/10 and not below 0, quadratic 1/step², log
                1/log₁₀(step + 1.7)
    compat      "session-rec": its cosine is |s∩n|/√|n| · √|s|, and its linear decay goes below 0

    Raises SettingsError for values that are not allowed.

    >>> from embedrec import Sessions, SKNN
    >>> sessions = Sessions.of_lists([["bread", "jam"], ["bread", "jam", "nail"], ["hammer", "nail"]])
    >>> model = SKNN(neighbours=2).fit(sessions)
    >>> model.recommend(Sessions.of_lists([["bread"]], sessions.vocab), 1).ids()
    [['jam']]
    """

    name: ClassVar[str] = "sknn"
    SPACE: ClassVar[dict[str, str]] = {
        "neighbours": "20..1500 log",
        "sample": "500..10000 log",
        "similarity": "cosine,jaccard",
    }
    VARIANTS: ClassVar[tuple[dict[str, object], ...]] = (
        {"scoring": "followers", "similarity": "jaccard"},
        {"candidates": "ann", "sample": 0},
    )

    neighbours: int = 100
    sample: int = 1000
    similarity: Literal["cosine", "jaccard", "binary"] = "cosine"
    scoring: Literal["plain", "last-shared", "followers"] = "plain"
    decay: Curve = "div"
    compat: Compat = "none"

    def formula(self) -> KnnFormula:
        """See `SessionKnnSettings.formula`."""
        from embedrec.kernels import session_formulas as k

        peer = self.compat == "session-rec"
        cosine = k.S_PEER_COSINE if peer else k.S_COSINE
        similarity = {"cosine": cosine, "jaccard": k.S_JACCARD, "binary": k.S_BINARY}[self.similarity]
        formula = k.KnnFormula(self.neighbours, self.sample, similarity=similarity)
        return _with_decay(formula, self.decay, peer) if self.scoring == "last-shared" else formula

    @property
    def followers_only(self) -> bool:
        """See `SessionKnnSettings.followers_only`."""
        return self.scoring == "followers"


@dataclass(frozen=True)
class VSKNN(SessionKnn):
    """V-SKNN (Ludewig & Jannach 2018): recent items of a history weigh more.

    neighbours  number of neighbours: the most similar sessions; ties by recency
    sample      candidates for neighbours: the newest sessions that share an item with the history; 0 for all
    position    weight w of an item of the history: same 1, div p/L, linear 1 − (L − p)/10 and not below 0, quadratic
                (p/L)², log 1/log₁₀(L − p + 1.7)
    similarity  "vec" Σw/|s|, "cosine" Σw/√(Σ_s w² · |n|); sums over shared items
    decay       factor of a neighbour's similarity: same 1, div 1/step, linear 1 − step/10 and not below
                0, quadratic 1/step², log 1/log₁₀(step + 1.7)
    idf         λ: an item's score is multiplied by 1 + λ · ln(sessions / sessions that contain it); 0 for off
    compat      "session-rec": its linear curves go below 0, that of weights is 0 from the eleventh item on, and its idf
                counts mentions instead of sessions that contain an item

    Raises SettingsError for values that are not allowed.

    >>> from embedrec import Sessions, VSKNN
    >>> sessions = Sessions.of_lists([["bread", "jam"], ["bread", "jam", "nail"], ["hammer", "nail"]])
    >>> model = VSKNN(neighbours=2).fit(sessions)
    >>> model.recommend(Sessions.of_lists([["bread"]], sessions.vocab), 1).ids()
    [['jam']]
    """

    name: ClassVar[str] = "vsknn"
    SPACE: ClassVar[dict[str, str]] = {
        "neighbours": "50..1500 log",
        "sample": "500..10000 log",
        "position": "same,div,linear,quadratic,log",
        "decay": "same,div,linear,quadratic,log",
        "idf": "0..10",
    }
    VARIANTS: ClassVar[tuple[dict[str, object], ...]] = ({"sample": 2, "neighbours": 1, "compat": "session-rec"},)

    neighbours: int = 500
    sample: int = 5000
    position: Curve = "div"
    similarity: Literal["vec", "cosine"] = "cosine"
    decay: Curve = "div"
    idf: float = 5.0
    compat: Compat = "none"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_not_negative("idf", self.idf)

    def formula(self) -> KnnFormula:
        """See `SessionKnnSettings.formula`."""
        from embedrec.kernels import session_formulas as k

        peer = self.compat == "session-rec"
        linear = k.W_PEER_LINEAR if peer else k.W_LINEAR
        curves = {"same": k.W_SAME, "div": k.W_DIV, "linear": linear, "quadratic": k.W_QUADRATIC, "log": k.W_LOG}
        shift = 1.7 if self.position == "log" else 0.0
        similarity = k.S_VEC if self.similarity == "vec" else k.S_COSINE
        formula = k.KnnFormula(
            self.neighbours, self.sample, weight=curves[self.position], shift=shift, similarity=similarity
        )
        return _with_decay(formula, self.decay, peer)

    def factors(self, store: SessionStore, session_counts: np.ndarray) -> np.ndarray:
        """See `SessionKnnSettings.factors`."""
        if self.compat == "session-rec":
            session_counts = np.bincount(np.maximum(store.items, ~store.items), minlength=len(session_counts))
        return _idf_factors(self.idf, store, session_counts)


@dataclass(frozen=True)
class STAN(SessionKnn):
    """Sequence and time aware neighbourhood (Garg et al. 2019): decay by session age and by item distance.

    neighbours  number of neighbours: the most similar sessions; ties by recency
    sample      candidates for neighbours: the newest sessions that share an item with the history; 0 for all
    spw         λ of the weight exp((p − L)/λ) of an item of the history; none: equal weights
    snh         λ, in days, of exp(−age/λ): decay of similarity with the time from a session to the history (0 for newer
                sessions); none: no decay. The authors use 5; needs times
    inh         λ of exp(−distance/λ): weight of a neighbour's item by its distance, in places, from the last shared
                item; none: equal weights
    compat      "session-rec": similarity of sessions newer than the history grows

    Similarity is the cosine between the weighted history and the set of the session's items, times the decay by age.

    Raises SettingsError for values that are not allowed.

    >>> from embedrec import Sessions, STAN
    >>> sessions = Sessions.of_lists([["bread", "jam"], ["bread", "jam", "nail"], ["hammer", "nail"]])
    >>> model = STAN(neighbours=2, snh=None).fit(sessions)
    >>> model.recommend(Sessions.of_lists([["bread"]], sessions.vocab), 1).ids()
    [['jam']]
    """

    name: ClassVar[str] = "stan"
    SPACE: ClassVar[dict[str, str]] = {
        "neighbours": "50..2000 log",
        "sample": "500..10000 log",
        "spw": "0.1..10 log",
        "inh": "0.5..20 log",
    }

    neighbours: int = 100
    sample: int = 5000
    spw: float | None = 2.0
    snh: float | None = None
    inh: float | None = 5.0
    compat: Compat = "none"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("spw", "snh", "inh"):
            _check_positive(name, getattr(self, name))

    def store(self, sessions: Sessions) -> SessionStore:
        """See `SessionKnnSettings.store`. Raises SettingsError when snh is set and the sessions have no times."""
        if self.snh is not None and sessions.times is None:
            raise SettingsError(
                f"{self.name} decays sessions by age (snh {self.snh:g} days), but they have no times; "
                "prepare data with a time column, or set snh=none"
            )
        return super().store(sessions)

    def formula(self) -> KnnFormula:
        """See `SessionKnnSettings.formula`."""
        from embedrec.kernels import session_formulas as k

        return k.KnnFormula(
            self.neighbours,
            self.sample,
            weight=k.W_SAME if self.spw is None else k.W_EXP,
            scale=self.spw or 1.0,
            similarity=k.S_COSINE,
            fade=(self.snh or 0.0) * DAY,
            future=self.compat == "session-rec",
            adds=k.EACH_ONCE if self.inh is None else k.NEAR_SHARED,
        )

    def nearness(self, longest: int) -> np.ndarray:
        """See `SessionKnnSettings.nearness`."""
        return np.zeros(0) if self.inh is None else np.exp(-np.arange(longest) / self.inh)


@dataclass(frozen=True)
class VSTAN(STAN):
    """STAN with two ideas of V-SKNN (Ludewig et al. 2021): recent shared items and rare items weigh more.

    neighbours, sample, spw, snh, inh  as in STAN
    compat      "session-rec": as in STAN, and its idf counts mentions instead of sessions that contain an item
    ipw         λ of exp((p − L)/λ) of the latest shared item, a factor of a neighbour's similarity; none: off
    idf         λ: an item's score is multiplied by 1 + λ · ln(sessions / sessions that contain it); 0 for off

    Raises SettingsError for values that are not allowed.

    >>> from embedrec import Sessions, VSTAN
    >>> sessions = Sessions.of_lists([["bread", "jam"], ["bread", "jam", "nail"], ["hammer", "nail"]])
    >>> model = VSTAN(neighbours=2, snh=None).fit(sessions)
    >>> model.recommend(Sessions.of_lists([["bread"]], sessions.vocab), 1).ids()
    [['jam']]
    """

    name: ClassVar[str] = "vstan"
    SPACE: ClassVar[dict[str, str]] = {
        "neighbours": "50..2000 log",
        "sample": "500..10000 log",
        "spw": "0.1..10 log",
        "inh": "0.5..20 log",
        "ipw": "0.3..5 log",
        "idf": "0..10",
    }

    neighbours: int = 500
    spw: float | None = 5.0
    ipw: float | None = 1.02
    idf: float = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_positive("ipw", self.ipw)
        _check_not_negative("idf", self.idf)

    def formula(self) -> KnnFormula:
        """See `SessionKnnSettings.formula`."""
        from embedrec.kernels import session_formulas as k

        formula = super().formula()
        return formula if self.ipw is None else formula._replace(decay=k.D_EXP, decay_scale=self.ipw)

    def factors(self, store: SessionStore, session_counts: np.ndarray) -> np.ndarray:
        """See `SessionKnnSettings.factors`."""
        if self.compat == "session-rec":
            session_counts = np.bincount(np.maximum(store.items, ~store.items), minlength=len(session_counts))
        return _idf_factors(self.idf, store, session_counts)


@dataclass(frozen=True)
class VMIS(SessionKnn):
    """VMIS-kNN (Kersbergen, Sprangers & Schelter 2022, "Serenade"): V-SKNN over a bounded index of recent sessions.

    neighbours  number of neighbours: the most similar sessions; ties by recency
    sample      m: candidates for neighbours, and sessions that the index keeps of each item, the newest; 0: all
    last_items  number of last items of a history that are used
    idf         λ: an item's score is multiplied by λ · ln(mentions / sessions that contain it), if that is above 0
    longest     quantile of distinct items a session; longer sessions cannot be neighbours
    compat      "serenade": its decay goes below 0, and the last item of a history is never a result

    Similarity is Σ p/|s| over shared items, with p and s of the last items, times 1 − step/10, but not below 0.
    Mentions are those of distinct items in sessions that can be neighbours. Serenade keeps m sessions in a heap by time
    and stops where a list gets older; the m newest sessions, selected without a heap here, are the same.

    Raises SettingsError for values that are not allowed.

    >>> from embedrec import Sessions, VMIS
    >>> sessions = Sessions.of_lists([["bread", "jam"], ["bread", "jam", "nail"], ["hammer", "nail"]])
    >>> model = VMIS(neighbours=2).fit(sessions)
    >>> model.recommend(Sessions.of_lists([["bread"]], sessions.vocab), 1).ids()
    [['jam']]
    """

    name: ClassVar[str] = "vmis"
    SPACE: ClassVar[dict[str, str]] = {
        "neighbours": "50..1500 log",
        "sample": "100..2500 log",
        "last_items": "1..20",
        "idf": "0..5",
    }
    VARIANTS: ClassVar[tuple[dict[str, object], ...]] = ({"compat": "serenade"},)

    neighbours: int = 100
    sample: int = 500
    last_items: int = 5
    idf: float = 1.0
    longest: float = 0.995
    compat: Literal["none", "serenade"] = "none"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self, {"last_items": (1, np.inf)})
        _check_not_negative("idf", self.idf)
        if not 0 < self.longest <= 1:
            raise SettingsError(f"longest must be a quantile above 0 and up to 1, but is {self.longest:g}")

    def formula(self) -> KnnFormula:
        """See `SessionKnnSettings.formula`."""
        from embedrec.kernels import session_formulas as k

        peer = self.compat == "serenade"
        return k.KnnFormula(
            self.neighbours,
            self.sample,
            last=self.last_items,
            weight=k.W_PLACE,
            decay=k.D_PEER_LINEAR if peer else k.D_LINEAR,
            decay_scale=99.0 if peer else 1.0,
            again=not peer,
        )

    def eligible(self, store: SessionStore) -> np.ndarray | None:
        """See `SessionKnnSettings.eligible`."""
        from embedrec.kernels.inverted_index import session_sizes

        sizes = session_sizes(store.offsets, store.items, 0, False)
        nonempty = sizes[sizes > 0]
        return sizes <= np.round(np.quantile(nonempty, self.longest)) if len(nonempty) else None

    def factors(self, store: SessionStore, session_counts: np.ndarray) -> np.ndarray:
        """See `SessionKnnSettings.factors`."""
        idf = self.idf * np.log(max(session_counts.sum(), 1) / np.maximum(session_counts, 1))
        return np.where(idf > 0, idf, 1.0)


@dataclass(frozen=True)
class SSCF(SessionKnn):
    """Session-based collaborative filtering (Park et al. 2011): a session is a user, its play counts are ratings.

    neighbours  number of neighbours: the sessions of the highest cosine of play counts; ties by recency
    sample      candidates for neighbours: the newest sessions that share an item with the history; 0 for all
    center      means r̄ in the score r̄_s + Σ sim · (r − r̄_n) / Σ sim over all neighbours, where r is 0 if a neighbour
                lacks the item: "all", over all items with zeros; "rated", over items with plays; "none", no means

    Centring shifts all scores of a history by the same amount and does not change their order.

    Raises SettingsError for values that are not allowed.

    >>> from embedrec import Sessions, SSCF
    >>> sessions = Sessions.of_lists([["bread", "jam"], ["bread", "jam", "nail"], ["hammer", "nail"]])
    >>> model = SSCF(neighbours=2).fit(sessions)
    >>> model.recommend(Sessions.of_lists([["bread"]], sessions.vocab), 1).ids()
    [['jam']]
    """

    name: ClassVar[str] = "sscf"
    SPACE: ClassVar[dict[str, str]] = {
        "neighbours": "10..500 log",
        "center": "none,all,rated",
    }

    neighbours: int = 150
    sample: int = 0
    center: Literal["all", "rated", "none"] = "all"

    def formula(self) -> KnnFormula:
        """See `SessionKnnSettings.formula`."""
        from embedrec.kernels import session_formulas as k

        score = {"all": k.LESS_MEAN_OF_ALL, "rated": k.LESS_MEAN_OF_RATED, "none": k.MEAN}[self.center]
        formula = k.KnnFormula(self.neighbours, self.sample, weight=k.W_COUNT, similarity=k.S_COSINE)
        return formula._replace(adds=k.EACH_MENTION, score=score)


def _with_decay(formula: KnnFormula, decay: Curve, peer: bool) -> KnnFormula:
    """The formula with a decay; `peer` lets a linear one go below 0, up to the hundredth step."""
    from embedrec.kernels import session_formulas as k

    if decay == "linear" and peer:
        return formula._replace(decay=k.D_PEER_LINEAR, decay_scale=100.0)
    curves = {"same": k.D_SAME, "div": k.D_DIV, "linear": k.D_LINEAR, "quadratic": k.D_QUADRATIC, "log": k.D_LOG}
    return formula._replace(decay=curves[decay])


def _idf_factors(weight: float, store: SessionStore, session_counts: np.ndarray) -> np.ndarray:
    """1 + weight · ln(sessions / sessions that hold the item): (n,) float64, (0,) for weight 0."""
    if weight == 0:
        return np.zeros(0)
    sessions = np.count_nonzero(np.diff(store.offsets))
    return 1 + weight * np.log(max(sessions, 1) / np.maximum(session_counts, 1))


def _check_positive(name: str, value: float | None) -> None:
    if value is not None and not 0 < value < np.inf:
        raise SettingsError(f"{name} must be a positive number, or none, but is {value:g}")


def _check_not_negative(name: str, value: float) -> None:
    if not 0 <= value < np.inf:
        raise SettingsError(f"{name} must be a number from 0, but is {value:g}")
