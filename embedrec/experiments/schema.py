"""The tables of a study's file, as dataclasses: a field is a key, its default what holds where the key is left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from embedrec.config import check_bounds
from embedrec.errors import SettingsError
from embedrec.evaluation.evaluate import EvaluationSettings
from embedrec.html_report.item_map import Method
from embedrec.storage.memory_budget import parse_size
from embedrec.workflows.evaluate import Protocol

_SEEDS = 2**63 - 1  # the highest
Ties = Literal["conservative", "standard", "median"]


@dataclass(frozen=True, kw_only=True)
class Prepare:
    """[prepare]: beside these keys all settings of the source's reader, of the filters, and `by` and `gap`.

    source      a name in READERS
    paths       files and folders
    name        of the sessions; the source's where it is left out
    title       column of display names, for the source "table"
    test        file of the held-out part, for sources that have one
    on_bad_row  "fail", or "skip"
    memory      a budget as "2G"
    """

    source: str
    paths: tuple[str, ...]
    name: str = ""
    title: str | None = None
    test: str | None = None
    on_bad_row: Literal["fail", "skip"] = "fail"
    memory: str | None = None

    def __post_init__(self) -> None:
        _check_size(self.memory)


@dataclass(frozen=True, kw_only=True)
class Split:
    """[split]: beside these keys the settings of the rule.

    rule  a name in SPLITS
    name  of the result; SESSIONS-RULE where it is left out
    """

    rule: str
    name: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        check_seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class Train:
    """[[train]].

    model   a name in MODELS
    name    of the trained model; the model's where it is left out
    set     settings of the model
    grid    setting → values: every combination is judged on a part of the training part, the best one is trained
    best    what is best: a metric
    memory  a budget as "2G", for models that can keep to one
    """

    model: str
    name: str = ""
    set: dict[str, Any] = field(default_factory=dict)
    grid: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    best: str = "recall@20"
    memory: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        _check_size(self.memory)
        check_seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class Index:
    """[[index]]: see `embedrec build-index`.

    model  what is indexed, a trained model of this study
    type   a name in INDEXES, a factory string, or "auto"; what that takes depends on the machine's speed
    of     its items, its answers, or the sessions it was trained on
    set    with `of = "sessions"`, what events count
    target_recall, max_p95, max_ram  promises as ".98@20", "2ms", "4G"; the study ends where none can be kept
    memory  a budget as "2G"
    """

    model: str
    type: str = "auto"
    name: str = ""
    of: Literal["items", "answers", "sessions"] = "items"
    set: dict[str, Any] = field(default_factory=dict)
    popularity: float | None = None
    metric: Literal["cosine", "dot", "l2"] | None = None
    target_recall: str | None = None
    max_p95: str | None = None
    max_ram: str | None = None
    memory: str | None = None
    nprobe: int | None = None
    ef_search: int | None = None
    rerank: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        _check_size(self.memory)
        check_seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class Ask:
    """[ask]: how questions are asked and judged, for grids of training, [[evaluate]] and [compare], which may say
    otherwise; see `embedrec evaluate`. `at` has the command's lengths where it is left out."""

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
            EvaluationSettings(self.at)  # are there such lengths?
        check_seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class Evaluate(Ask):
    """[[evaluate]]: one model judged.

    model         a trained model of this study
    name          of the result; the model's where it is left out
    grid          for session kNN: every number of `neighbours` with every length of `at`
    sub_sessions  for a grid: train on all sub-sessions
    """

    model: str
    name: str = ""
    grid: bool = False
    neighbours: tuple[int, ...] = (10, 25, 50, 75, 100, 125, 150)
    sub_sessions: bool = True


@dataclass(frozen=True, kw_only=True)
class Compare(Ask):
    """[compare]: models judged on the same questions.

    models   trained models of this study; all of them where it is left out
    metrics  columns; what the command shows where it is left out
    """

    models: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Export:
    """[[export]]: neighbours of items in one file, or their vectors, see `embedrec export`.

    file    path, from the workspace
    model   or index: what is asked, of this study
    n       neighbours an item
    format  "text", "tsv", "jsonl" …; what the file's name means where it is left out
    caps    attribute → results of one value; it and the keys after it change lists
    """

    file: str
    model: str | None = None
    index: str | None = None
    n: int = 20
    format: str | None = None
    prefix: str = "similar:"
    popularity: float | None = None
    nprobe: int | None = None
    ef_search: int | None = None
    rerank: int | None = None
    whitespace: Literal["refuse", "encode"] = "refuse"
    candidates: int | None = None
    caps: dict[str, int] = field(default_factory=dict)
    min_score: float | None = None
    min_evidence: int | None = None
    mutual: bool = False
    csls: int | None = None
    discount: float | None = None
    mmr: float | None = None
    back_off: bool = False


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of a table.

    label    what stands before it
    model    whose figures it shows; or `models`, one a column; or `fact`, what is known of the sessions
    article  what the article prints, a text a column
    """

    label: str
    model: str | None = None
    models: tuple[str, ...] = ()
    fact: str | None = None
    article: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Table:
    """[[table]]: figures in the shape of an article's table, beside the article's own.

    title    what it is
    of       the evaluation that figures come from: "" is [compare], else the name of an [[evaluate]]
    columns  heads; where the rows are models, the metrics themselves
    metrics  where rows name a model a column: what a cell shows, joined by "/"
    digits   after the point
    rows     of a grid there are none to name: a number of neighbours each
    note     a sentence under it
    """

    title: str
    of: str = ""
    columns: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    digits: int = 4
    rows: tuple[Row, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        check_bounds(self, {"digits": (0, 17)})  # that a float has


@dataclass(frozen=True, kw_only=True)
class Report:
    """[report]: see `embedrec report`.

    file   path of the page, from the workspace
    items  asked for their neighbours, ids or names; some popular ones where it is left out
    label  feature that colours the map
    map    how items are placed: "pca", "umap", or "auto"
    seed   of the places, where they are random
    """

    file: str = "report.html"
    items: tuple[str, ...] = ()
    label: str | None = None
    map: Method = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        check_seed(self.seed)


def check_seed(seed: Any, where: str = "") -> None:
    """Raises SettingsError for a seed that the commands would not take either; where: of a file, for the message."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= _SEEDS:
        raise SettingsError(f"seed{where} must be a whole number from 0 to {_SEEDS}, but is {seed!r}")


def _check_size(memory: str | None) -> None:
    if memory is not None:
        parse_size(memory)
