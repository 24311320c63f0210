"""Tables of an experiment's TOML file that are no steps by themselves. A field is a key; its default applies if the key
is missing."""

from __future__ import annotations

from dataclasses import dataclass

from embedrec.config import check_bounds, check_seed
from embedrec.html_report.item_map import Method
from embedrec.workflows.evaluation_options import EvaluationOptions


@dataclass(frozen=True, kw_only=True)
class Evaluate(EvaluationOptions):
    """[[evaluate]]: one model, with the keys of [ask].

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
class Compare(EvaluationOptions):
    """[compare]: several models on the same test cases, with the keys of [ask].

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
