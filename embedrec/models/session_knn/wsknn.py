"""WSKNN: the weighted session kNN of the package `wsknn` (Moliński 2022), after V-SKNN (Ludewig & Jannach 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from math import log10
from typing import TYPE_CHECKING, ClassVar, Literal

from embedrec.data.sessions import Sessions
from embedrec.models.session_knn.base import SessionKnn
from embedrec.models.session_knn.store import Order, SessionStore

if TYPE_CHECKING:
    from embedrec.kernels.session_formulas import KnnFormula

_LOG = log10(2.7)


@dataclass(frozen=True)
class WSKNN(SessionKnn):
    """Similarity is Σw/|s| over shared items; a neighbour adds its similarity times its `ranking` factor to its items.

    The package's eleven parameters are these eight and `k` of `recommend` (number_of_recommendations); instead of its
    positions of event names and weights in lists, sessions here have kinds and weights.

    neighbours  number of neighbours, the most similar (number_of_neighbors); ties in the order of `sampling`
    sample      candidates for neighbours (sample_size); 0 for all that share an item with the history
    sampling    selection of candidates (sampling_strategy): "common_items" those that share most items, "recent" the
                newest, "random" a random sample, "weighted_events" those of the highest mean weight of their events
    weighting   weight w of an item of the history (weighting_func): linear p/L, log log 2.7/log(L − p + 2.7), quadratic
                (p/L)², p its last position of L, from 1; the last item weighs 1
    ranking     factor (ranking_strategy) by the step from the end of the history to the latest shared item, from 1:
                linear (1 − step/10)/.9 and not below 0, inv 1/step, log log 2.7/log(step + 1.7), quadratic 1/step²
    return_events_from_session  whether items of the history can be results, unless the caller excludes them
    required_event  name of a kind of events: only sessions with such an event are neighbours (required_sampling_event)
    recommend_any   lists of fewer than k results are filled with random items, score 0
    compat      "wsknn": like version 1.2.3 of the package: common_items takes those that share *fewest*; weights
                are (p + 1)/L and log 2.7/log(L − p + 1.7), more than 1 at the end; recent is by the first event of a
                session; an item that occurs several times in a neighbour counts several times

    Items that no session contains are removed from a history before weighting; the package counts them in L and |s|,
    and returns None for a history of only such items.

    Raises SettingsError for values that are not allowed.

    >>> from embedrec import Sessions, WSKNN
    >>> sessions = Sessions.of_lists([["bread", "jam"], ["bread", "jam", "nail"], ["hammer", "nail"]])
    >>> model = WSKNN(neighbours=2).fit(sessions)
    >>> model.recommend(Sessions.of_lists([["bread"]], sessions.vocab), 1).ids()
    [['jam']]
    """

    name: ClassVar[str] = "wsknn"
    SPACE: ClassVar[dict[str, str]] = {
        "neighbours": "10..1000 log",
        "sample": "100..5000 log",
        "weighting": "linear,log,quadratic",
        "ranking": "linear,inv,log,quadratic",
    }
    VARIANTS: ClassVar[tuple[dict[str, object], ...]] = ({"sampling": "common_items", "compat": "wsknn"},)

    neighbours: int = 100
    sample: int = 1000
    sampling: Literal["common_items", "recent", "random", "weighted_events"] = "recent"
    weighting: Literal["linear", "log", "quadratic"] = "linear"
    ranking: Literal["linear", "inv", "log", "quadratic"] = "quadratic"
    return_events_from_session: bool = True
    required_event: str | None = None
    recommend_any: bool = False
    compat: Literal["none", "wsknn"] = "none"

    def formula(self) -> KnnFormula:
        """See `SessionKnnSettings.formula`."""
        from embedrec.kernels import session_formulas as k

        peer = self.compat == "wsknn"
        common = k.LEAST_SHARED if peer else k.MOST_SHARED
        samplings = {"common_items": common, "random": k.RANDOM, "recent": k.NEWEST, "weighted_events": k.NEWEST}
        weight, shift = {
            "linear": (k.W_DIV, 1.0 if peer else 0.0),
            "log": (k.W_LOG, 1.7 if peer else 2.7),
            "quadratic": (k.W_QUADRATIC, 0.0),
        }[self.weighting]
        decay, decay_scale = {
            "linear": (k.D_LINEAR, 1 / 0.9),
            "inv": (k.D_DIV, 1.0),
            "log": (k.D_LOG, _LOG),
            "quadratic": (k.D_QUADRATIC, 1.0),
        }[self.ranking]
        return k.KnnFormula(
            self.neighbours,
            self.sample,
            sampling=samplings[self.sampling],
            weight=weight,
            shift=shift,
            scale=_LOG,
            decay=decay,
            decay_scale=decay_scale,
            adds=k.EACH_MENTION if peer else k.EACH_ONCE,
        )

    @property
    def order(self) -> Order:
        """See `SessionKnnSettings.order`."""
        if self.sampling == "weighted_events":
            return "weight"
        return "first" if self.compat == "wsknn" else "last"

    @property
    def draws(self) -> bool:
        """See `SessionKnnSettings.draws`."""
        return self.sampling == "random" or self.recommend_any

    def store(self, sessions: Sessions) -> SessionStore:
        """See `SessionKnnSettings.store`."""
        return SessionStore.of(sessions, self.order, self.required_event)

    @property
    def fills(self) -> bool:
        """See `SessionKnnSettings.fills`."""
        return self.recommend_any

    def includes_seen(self, exclude_seen: bool) -> bool:
        """See `SessionKnnSettings.includes_seen`."""
        return not exclude_seen and self.return_events_from_session
