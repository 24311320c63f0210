"""Settings of matrix factorisation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np

from embedrec.config import check_bounds
from embedrec.models.factorization.least_squares import Objective
from embedrec.models.torch_recipe import Neural
from embedrec.training.settings import Schedule


@dataclass(frozen=True)
class FactorisationSettings(Neural):
    """Rows of the matrix are sessions; `prepare --by user` makes a session of all events of a user.

    loss            "als": weighted least squares over all pairs of a session and an item, see `Objective`;
                    "logistic": squared error of the sigmoid of the product plus biases, against 1 for observed and 0
                    for random pairs;
                    "bpr": items of the session ranked above other items (Rendle et al. 2009)
    dim             length of a vector
    epochs          als: alternations over sessions and items. The objective falls for dozens of epochs, but results for
                    new sessions are best after few. Otherwise passes over the pairs. None is 3 for als, 10 for
                    logistic, 8 for bpr
    min_count       items mentioned less often are left out
    decay           how a history becomes a query: weight of an event relative to the next, 1 as in training
    popularity      exponent of an item's norm, which grows with its popularity, in recommendations: from 0, the cosine,
                    to 1, the dot product that is fitted. Similar items use the cosine. None is
                    0.5 for als, 0 for the others
    deviation       of initial vectors, times the square root of dim. None is 0.1 for als, 1 for the others

    als:
    unobserved      weight of all pairs relative to that of all observations, so that it fits matrices of any sparsity;
                    α0 of Rendle et al. is this · observations / pairs, and alpha of Hu et al. is 1 / α0
    regularisation  strength of L2 regularisation; tune it together with `unobserved`
    nu              how regularisation grows with the length of a session and the frequency of an item, see `Objective`
    plays           repeated items: "each" play weighs 1; "once", all of them 1; "log", 1 + ln(plays)
    steps           of conjugate gradient each time; a session or item with at most that many cells is solved exactly

    logistic and bpr:
    negatives       random pairs for each observed one, in bpr of the same session
    ns_exponent     their items are drawn in proportion to count ** ns_exponent; 0 is uniform
    learning_rate   peak: logistic, of AdamW, None is 0.01; bpr, of Adagrad, None is 0.2
    weight_decay    logistic: decoupled weight decay of AdamW, None is 0.1; bpr: L2 penalty on an example's vectors
                    (half of it times their squares), None is 0.01
    batch, patience, watch, schedule, clip, replay, precision   see `TrainingSettings`

    The query of a history is, with als, the least-squares solution for fixed item vectors, otherwise the mean of its
    items' unit vectors. Raises SettingsError for values that are not allowed.
    """

    name: ClassVar[str] = "mf"
    SPACE: ClassVar[dict[str, str]] = {
        "dim": "32..256 log",
        "unobserved": "0.5..50 log",
        "regularisation": "1e-3..0.1 log",
        "nu": "0..1",
        "decay": "0.5..1",
    }
    SMALL: ClassVar[dict[str, object]] = {"dim": 8, "epochs": 3, "min_count": 1}
    VARIANTS: ClassVar[tuple[dict[str, object], ...]] = (
        {"popularity": 0.0, "plays": "once", "nu": 0.0},
        {"loss": "bpr"},
        {"loss": "logistic", "popularity": 0.5, "patience": 1},
    )
    # Chosen on playlists, listening sessions, clicks and ratings held out of training data; no test part was looked at.
    loss: Literal["als", "logistic", "bpr"] = "als"
    dim: int = 128
    epochs: int | None = None  # type: ignore[assignment]  # `training_settings` has a number
    batch: int = 4096
    patience: int | None = None
    schedule: Schedule = "one-cycle"
    unobserved: float = 5.0
    regularisation: float = 0.015
    nu: float = 1.0
    plays: Literal["each", "once", "log"] = "log"
    deviation: float | None = None
    steps: int = 3
    min_count: int = 2
    decay: float = 0.8
    popularity: float | None = None
    negatives: int = 2
    ns_exponent: float = 0.0
    learning_rate: float | None = None
    weight_decay: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self, _BOUNDS)

    @property
    def training_settings(self) -> Self:
        """These settings, each with its `value`."""
        return replace(self, **{field: self.value(field) for field in _DEFAULTS[self.loss]})

    def value(self, field: str) -> Any:
        """A setting, or the default of the loss if it is None."""
        value = getattr(self, field)
        return _DEFAULTS[self.loss].get(field) if value is None else value

    def objective(self, unobserved: float) -> Objective:
        """The objective; `unobserved` is the weight of one pair."""
        return Objective(unobserved, self.regularisation, self.nu)


# values of None
_DEFAULTS: dict[str, dict[str, Any]] = {
    "als": {"epochs": 3, "deviation": 0.1, "popularity": 0.5},
    "logistic": {
        "epochs": 10, "deviation": 1.0, "popularity": 0.0, "learning_rate": 0.01, "weight_decay": 0.1,
    },
    "bpr": {
        "epochs": 8, "deviation": 1.0, "popularity": 0.0, "learning_rate": 0.2, "weight_decay": 0.01,
    },
}  # fmt: skip
_BOUNDS = {
    "dim": (1, 65536), "epochs": (1, np.inf), "unobserved": (1e-6, 1e6), "regularisation": (1e-9, 1e6), "nu": (0, 2),
    "deviation": (1e-6, 10), "steps": (1, 1000), "min_count": (1, np.inf), "decay": (1e-6, 1), "popularity": (0, 1),
    "negatives": (1, 10000), "ns_exponent": (-100, 100), "learning_rate": (1e-9, 10), "weight_decay": (0, 100),
}  # fmt: skip
