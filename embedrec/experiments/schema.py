"""Tables of an experiment's TOML file that are no steps by themselves. A field is a key; its default applies if the key
is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from embedrec.config import check_bounds
from embedrec.errors import SettingsError
from embedrec.evaluation.evaluate import EvaluationSettings
from embedrec.html_report.item_map import Method
from embedrec.workflows.evaluate import Protocol

_HIGHEST_SEED = 2**63 - 1
Ties = Literal["conservative", "standard", "median"]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """[ask]: how models are evaluated, for grids of [[train]], [[evaluate]] and [compare]; the latter two may override
    any key. See `embedrec evaluate`. `at` defaults to the command's list lengths."""

    split: str | None = None
    valid: bool = False
    protocol: Protocol | None = None
    given: int | None = None
    at: tuple[int, ...] | None = None
    ties: Ties = "conservative"
    seen: Literal["keep", "remove"] | None = None
    unknown: Literal["miss", "drop"] = "miss"
    draws: int = 1000
    labels: str | None = None
    through: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_bounds(self, {"given": (1, 2**31), "draws": (0, 2**31)})
        if self.at is not None:
            EvaluationSettings(self.at)  # checks the lengths
        check_seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class Evaluate(Evaluation):
    """[[evaluate]]: one model.

    model         a model trained in this experiment
    name          of the result; by default the model's
    grid          for session kNN: every number of `neighbours` at every length of `at`
    sub_sessions  for a grid: train on all sub-sessions
    """

    model: str
    name: str = ""
    grid: bool = False
    neighbours: tuple[int, ...] = (10, 25, 50, 75, 100, 125, 150)
    sub_sessions: bool = True


@dataclass(frozen=True, kw_only=True)
class Compare(Evaluation):
    """[compare]: several models on the same test cases.

    models   models trained in this experiment; by default all of them
    metrics  columns; by default those of `embedrec compare`
    """

    models: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of a table.

    label    first cell
    model    the model whose metrics the row shows; or `models`, one a column; or `fact`, a statistic of the sessions
    article  the values printed in the article, one a column
    """

    label: str
    model: str | None = None
    models: tuple[str, ...] = ()
    fact: str | None = None
    article: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Table:
    """[[table]]: metrics in the layout of an article's table, beside the article's values.

    of       source of the metrics: "" is [compare], else the name of an [[evaluate]]
    columns  headers; where a row has one model, the metrics themselves
    metrics  where a row has one model a column: the metrics of a cell, joined by "/"
    digits   decimals
    rows     a grid needs none: it has one row a number of neighbours
    note     a sentence below the table
    """

    title: str
    of: str = ""
    columns: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    digits: int = 4
    rows: tuple[Row, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        check_bounds(self, {"digits": (0, 17)})  # the precision of a float


@dataclass(frozen=True, kw_only=True)
class Report:
    """[report]: see `embedrec report`.

    file   path of the HTML file, relative to the workspace
    items  ids or names of items whose neighbours are shown; by default some popular ones
    label  feature that colours the map
    map    projection of the item vectors: "pca", "umap", or "auto"
    seed   of the projection, if it is random
    """

    file: str = "report.html"
    items: tuple[str, ...] = ()
    label: str | None = None
    map: Method = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        check_seed(self.seed)


def check_seed(seed: Any, where: str = "") -> None:
    """Raises SettingsError for a seed that the commands reject too. `where` (" in FILE") is for the message."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= _HIGHEST_SEED:
        raise SettingsError(f"seed{where} must be a whole number from 0 to {_HIGHEST_SEED}, but is {seed!r}")
