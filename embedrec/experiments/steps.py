"""The steps [prepare], [split], [[train]], [[index]] and [[export]]. Each calls the workflow that its command calls."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, ClassVar, Literal

from embedrec.config import build, check_seed, settings_of
from embedrec.data.filters import Filters
from embedrec.data.regroup import Regroup
from embedrec.experiments.grid_search import SettingsGrid, best_recipe
from embedrec.experiments.step import (
    ArtifactStep,
    SessionsStep,
    StepContext,
    TableStep,
    existing_files,
    fingerprints,
)
from embedrec.export.file_format import layout_of
from embedrec.export.policies.settings import Policies
from embedrec.export.write_lists import ExportSettings, export_lists
from embedrec.index.search_settings import KINDS, SearchSettings
from embedrec.index.target import SearchTarget, parse_target
from embedrec.models import recipe_class
from embedrec.models.base import Recipe
from embedrec.models.session_encoders import Weights
from embedrec.models.torch_recipe import choose_device, is_torch_recipe
from embedrec.progress import Report
from embedrec.readers import READERS, BadRows, reader
from embedrec.splitting.rules import Rule, rule_class
from embedrec.storage.memory_budget import budget_of, parse_size
from embedrec.tabular.read_settings import ReadSettings
from embedrec.workflows.build_index import IndexSettings, build_index_artifact
from embedrec.workflows.lineage import training_features
from embedrec.workflows.prepare import prepare_sessions
from embedrec.workflows.split import write_split
from embedrec.workflows.train import train_model


@dataclass(frozen=True, kw_only=True)
class Prepare(SessionsStep):
    """[prepare], `embedrec prepare`: also all settings of the source's reader and of the filters, `by` and `gap`.

    source      a name in READERS
    paths       files and folders
    name        of the sessions; by default the source's
    title       column of display names, for the source "table"
    test        file of the held-out part, for sources that have one
    on_bad_row  "fail", or "skip"
    memory      a budget such as "2G"
    """

    kind: ClassVar[str] = "prepare"
    source: str
    paths: tuple[str, ...]
    title: str | None = None
    test: str | None = None
    on_bad_row: Literal["fail", "skip"] = "fail"
    memory: str | None = None

    def __post_init__(self) -> None:
        _bytes(self.memory)

    def keys(self) -> dict[type[Any], set[str]]:
        """The keys of the table that belong to other settings, by their class."""
        read: Any = reader(self.source)
        own = {f.name for f in fields(read)} - {"name"}  # `name` is a key of [prepare]; the column's is `title`
        return {Filters: {f.name for f in fields(Filters)}, Regroup: {"by", "gap"}, read: own}

    def _build(self, cls: Any) -> Any:
        keys = self.keys()[cls]
        return build(cls, {k: v for k, v in self.options.items() if k in keys}, source="[prepare]")

    @cached_property
    def reader(self) -> Any:
        read = self._build(reader(self.source))
        return read if self.title is None else replace(read, name=self.title)

    @cached_property
    def filters(self) -> Filters:
        """The filters: keys of the table over the source's defaults."""
        defaults = {k: v for k, v in READERS[self.source].filters.items() if k not in self.options}
        return replace(self._build(Filters), **defaults)

    @cached_property
    def regroup(self) -> Regroup:
        regroup: Regroup = self._build(Regroup)
        return regroup

    def settings(self) -> dict[str, Any]:
        parts = {"reader": self.reader, "filters": self.filters, "regroup": self.regroup}
        return super().settings() | {key: settings_of(part) for key, part in parts.items()}

    def files(self) -> dict[str, str]:
        test = [self.test] if self.test is not None else []
        return fingerprints([*self.paths, *test, *existing_files(settings_of(self.reader))])

    def run(self, context: StepContext, report: Report) -> None:
        folder, bad_rows = self.path(context), BadRows(self.on_bad_row)
        prepare_sessions(
            self.source,
            self.reader,
            self.paths,
            folder,
            self.filters,
            ReadSettings(bad_rows, context.threads, budget_of(self.memory, folder.parent), report),
            regroup=self.regroup,
            test=self.test,
        )
        for line in bad_rows.lines():
            report("note", message=line)


@dataclass(frozen=True, kw_only=True)
class Split(SessionsStep):
    """[split], `embedrec split`: also the settings of the rule.

    rule  a name in SPLITS
    name  of the result; by default SESSIONS-RULE
    """

    kind: ClassVar[str] = "split"
    rule: str
    seed: int = 0

    def __post_init__(self) -> None:
        check_seed(self.seed)

    @cached_property
    def split_rule(self) -> Rule:
        rule: Rule = build(rule_class(self.rule), self.options, source="[split]")
        return rule

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"settings": settings_of(self.split_rule)}

    def run(self, context: StepContext, report: Report) -> None:
        source = context.workspace.find("sessions", self.links.sessions)
        _, messages = write_split(source, self.path(context), self.split_rule, seed=self.seed)
        for message in messages:
            report("note", message=f"leak check: {message}")


@dataclass(frozen=True, kw_only=True)
class Train(ArtifactStep):
    """[[train]], `embedrec train`.

    model   a name in MODELS
    name    of the trained model; by default the recipe's
    set     settings of the model
    grid    setting → values: every combination is evaluated on a validation part of the training sessions, and the
            best one is trained
    best    the metric that chooses
    memory  a budget such as "2G", for models that can be bounded
    """

    kind: ClassVar[str] = "train"
    artifact: ClassVar[str] = "model"
    model: str
    set: dict[str, Any] = field(default_factory=dict)
    grid: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    best: str = "recall@20"
    memory: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        _bytes(self.memory)
        check_seed(self.seed)

    @cached_property
    def recipes(self) -> tuple[Recipe, ...]:
        """The recipe, or those of every combination of the grid."""
        cls = recipe_class(self.model)
        combinations = (dict(zip(self.grid, values, strict=True)) for values in product(*self.grid.values()))
        return tuple(build(cls, {**self.set, **values}, source=f"[[train]] {self.name}") for values in combinations)

    def settings(self) -> dict[str, Any]:
        table = {"model": self.model, "memory": self.memory, "seed": self.seed}
        if not self.grid:
            return {**table, "settings": settings_of(self.recipes[0])}
        grid = {"grid": [settings_of(recipe) for recipe in self.recipes], "best": self.best}
        return {**table, **grid, "ask": asdict(self.links.evaluation)}

    def run(self, context: StepContext, report: Report) -> None:
        from embedrec.training.context import DEFAULT_CONTEXT, TrainingContext

        source = context.workspace.find("sessions", self.links.sessions)
        recipe: Any = self.recipes[0]
        if self.grid:
            grid = SettingsGrid(self.name, tuple(self.grid), self.recipes, self.best, self.seed)
            recipe = best_recipe(grid, self.links.evaluation, source, context, report)
        training = DEFAULT_CONTEXT
        if is_torch_recipe(recipe):
            checkpoint = context.workspace.folder("checkpoint", self.name)
            device = choose_device(recipe, context.device, report)
            training = TrainingContext(device, checkpoint, context.resumed and checkpoint.exists())
        train_model(
            recipe,
            source,
            self.path(context),
            seed=self.seed,
            threads=context.threads,
            report=report,
            context=replace(training, memory=_bytes(self.memory)),
        )


@dataclass(frozen=True, kw_only=True)
class Index(ArtifactStep):
    """[[index]], `embedrec build-index`.

    model   a model trained in this experiment
    type    a name in INDEXES, a factory string, or "auto", whose choice depends on the machine's speed
    of      its items, its answers, or the sessions that it was trained on
    set     with `of = "sessions"`: weights of events; by default those of the model's queries
    target_recall, max_p95, max_ram  search targets such as ".98@20", "2ms", "4G"; the run fails if they are not met
    memory  a budget such as "2G"
    """

    kind: ClassVar[str] = "index"
    artifact: ClassVar[str] = "index"
    model: str
    type: str = "auto"
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
        _bytes(self.memory)
        check_seed(self.seed)

    @cached_property
    def target(self) -> SearchTarget | None:
        return parse_target(self.target_recall, self.max_p95, self.max_ram)

    @cached_property
    def weights(self) -> Weights | None:
        return build(Weights, self.set, source=f"[[index]] {self.name}") if self.set else None

    @cached_property
    def search(self) -> SearchSettings:
        return _search(self)

    def run(self, context: StepContext, report: Report) -> None:
        model = context.workspace.find("model", self.model)
        build_index_artifact(
            model,
            self.path(context),
            IndexSettings(
                self.type,
                self.of,
                self.weights,
                self.popularity,
                self.metric,
                self.search,
                self.target,
                seed=self.seed,
                memory=_bytes(self.memory),
            ),
            sessions=None if self.of == "items" else context.workspace.find("sessions", self.links.sessions),
            features=None if self.of == "sessions" else training_features(context.workspace, model),
            report=report,
        )


@dataclass(frozen=True, kw_only=True)
class Export(TableStep):
    """[[export]], `embedrec export`: similar items, or item vectors, in one file.

    file    path, relative to the workspace
    model   or index: the source, a model or an index of this experiment
    n       neighbours an item
    format  "text", "tsv", "jsonl" …; by default as the file's name implies
    caps    attribute → results with the same value; `caps` and the keys after it are policies
    """

    kind: ClassVar[str] = "export"
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

    @property
    def id(self) -> str:
        return f"{self.kind} {self.file}"

    @property
    def output(self) -> str:
        return self.file

    @cached_property
    def lists(self) -> ExportSettings:
        policies = {f.name: getattr(self, f.name) for f in fields(Policies)} | {"caps": self.caps or None}
        layout = layout_of(self.file, self.format, whitespace=self.whitespace, prefix=self.prefix)
        return ExportSettings(self.n, Policies(**policies), self.candidates, layout)

    @cached_property
    def search(self) -> SearchSettings:
        return _search(self)

    def path(self, context: StepContext) -> Path:
        return context.workspace.root / self.file

    def run(self, context: StepContext, report: Report) -> None:
        from embedrec.vectors.file_formats import save_vectors
        from embedrec.workflows.export import ExportSource, open_export_source

        path, layout = self.path(context), self.lists.layout
        source = ExportSource("items", self.model, self.index, self.search, self.popularity)
        items = open_export_source(context.workspace, source)
        if not layout.holds_lists:
            save_vectors(items.vectors(), path, layout.vector_format, whitespace=self.whitespace, report=report)
            return
        export_lists(
            path,
            items.lists,
            self.lists,
            items.inputs,
            items.about,
            resume=context.resumed,
            threads=context.threads,
            report=report,
        )


def _search(table: Index | Export) -> SearchSettings:
    return SearchSettings(**{name: getattr(table, name) for name in KINDS})


def _bytes(memory: str | None) -> int | None:
    """Raises SettingsError for a text that is no size."""
    return None if memory is None else parse_size(memory)
