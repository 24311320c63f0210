"""The steps of a study. Each calls the library function that its command calls."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from embedrec.config import settings_of
from embedrec.data.filters import Filters
from embedrec.data.regroup import Regroup
from embedrec.experiments import schema
from embedrec.experiments.evaluation_steps import Judge, Sweep, evaluation
from embedrec.experiments.grid_search import chosen
from embedrec.experiments.report_step import Reported
from embedrec.experiments.result_tables import Tables
from embedrec.experiments.step import Following, StepContext, files_among, fingerprints
from embedrec.export.write_lists import ExportSettings, export_lists
from embedrec.index.search_settings import SearchSettings
from embedrec.index.target import SearchTarget
from embedrec.models.base import Recipe
from embedrec.models.session_encoders import Weights
from embedrec.models.torch_recipe import device_of, in_steps
from embedrec.progress import Report
from embedrec.readers import BadRows
from embedrec.splitting.rules import Rule
from embedrec.storage.memory_budget import parse_size
from embedrec.workflows import build_index, prepare, train
from embedrec.workflows.lineage import known_features
from embedrec.workflows.split import write_split

__all__ = ["Export", "Index", "Judge", "Prepare", "Reported", "Split", "Sweep", "Tables", "Train", "evaluation"]


@dataclass(frozen=True)
class Prepare:
    """`embedrec prepare`."""

    table: schema.Prepare
    reader: Any
    filters: Filters
    regroup: Regroup
    name: str = "prepare"
    after: tuple[str, ...] = ()

    @property
    def made(self) -> str:
        return self.table.name

    def settings(self) -> dict[str, Any]:
        parts = {"reader": self.reader, "filters": self.filters, "regroup": self.regroup}
        return asdict(self.table) | {key: settings_of(part) for key, part in parts.items()}

    def files(self) -> dict[str, str]:
        test = [self.table.test] if self.table.test is not None else []
        return fingerprints([*self.table.paths, *test, *files_among(settings_of(self.reader))])

    def place(self, where: StepContext) -> Path:
        return where.workspace.folder("sessions", self.made)

    def work(self, where: StepContext, report: Report) -> None:
        bad_rows = BadRows(self.table.on_bad_row)
        prepare.prepare(
            self.table.source,
            self.reader,
            self.table.paths,
            self.place(where),
            self.filters,
            regroup=self.regroup,
            test=self.table.test,
            bad_rows=bad_rows,
            workers=where.threads,
            memory=None if self.table.memory is None else parse_size(self.table.memory),
            report=report,
        )
        for line in bad_rows.lines():
            report("note", said=line)


@dataclass(frozen=True)
class Split(Following):
    """`embedrec split`."""

    table: schema.Split
    rule: Rule
    sessions: str
    before: str
    name: str = "split"

    def settings(self) -> dict[str, Any]:
        return {**asdict(self.table), "settings": settings_of(self.rule)}

    def place(self, where: StepContext) -> Path:
        return where.workspace.folder("sessions", self.made)

    def work(self, where: StepContext, report: Report) -> None:
        source = where.workspace.find("sessions", self.sessions)
        _, checked = write_split(source, self.place(where), self.rule, seed=self.table.seed)
        for line in checked:
            report("note", said=f"leak check: {line}")


@dataclass(frozen=True)
class Train(Following):
    """`embedrec train`; of a grid, the settings that are best on a validation part.

    recipes  the settings, or those of every combination of the grid
    ask      how a validation part is asked
    """

    table: schema.Train
    recipes: tuple[Recipe, ...]
    ask: schema.Ask
    sessions: str
    before: str

    @property
    def name(self) -> str:
        return f"train {self.made}"

    def settings(self) -> dict[str, Any]:
        table = {key: getattr(self.table, key) for key in ("model", "memory", "seed")}
        if not self.table.grid:
            return {**table, "settings": settings_of(self.recipes[0])}
        grid = {"grid": [settings_of(recipe) for recipe in self.recipes], "best": self.table.best}
        return {**table, **grid, "ask": asdict(self.ask)}

    def place(self, where: StepContext) -> Path:
        return where.workspace.folder("model", self.made)

    def work(self, where: StepContext, report: Report) -> None:
        from embedrec.training.context import HERE, TrainingContext

        source = where.workspace.find("sessions", self.sessions)
        recipe: Any = self.recipes[0]
        if self.table.grid:
            recipe = chosen(self.table, self.recipes, self.ask, source, where, report)
        run, stepwise = HERE, in_steps(recipe)
        if stepwise:
            checkpoint = where.workspace.folder("checkpoint", self.made)
            run = TrainingContext(
                device_of(recipe, where.device, report), checkpoint, where.resumed and checkpoint.exists()
            )
        memory = None if self.table.memory is None else parse_size(self.table.memory)
        train.train(
            recipe,
            source,
            self.place(where),
            seed=self.table.seed,
            threads=where.threads,
            memory=memory,
            report=report,
            run=run,
        )


@dataclass(frozen=True)
class Index(Following):
    """`embedrec build-index`.

    weights  what events count, of an index of sessions; None as in the model's queries
    """

    table: schema.Index
    sessions: str
    before: str
    search: SearchSettings
    promise: SearchTarget | None
    weights: Weights | None

    @property
    def name(self) -> str:
        return f"index {self.made}"

    def place(self, where: StepContext) -> Path:
        return where.workspace.folder("index", self.made)

    def work(self, where: StepContext, report: Report) -> None:
        table, model = self.table, where.workspace.find("model", self.table.model)
        build_index.index(
            model,
            self.place(where),
            table.type,
            of=table.of,
            sessions=None if table.of == "items" else where.workspace.find("sessions", self.sessions),
            weights=self.weights,
            popularity=table.popularity,
            features=None if table.of == "sessions" else known_features(where.workspace, model),
            settings=self.search,
            promise=self.promise,
            metric=table.metric,
            seed=table.seed,
            memory=None if table.memory is None else parse_size(table.memory),
            report=report,
        )


@dataclass(frozen=True)
class Export(Following):
    """`embedrec export`."""

    table: schema.Export
    before: str
    wanted: ExportSettings
    search: SearchSettings

    @property
    def name(self) -> str:
        return f"export {self.table.file}"

    @property
    def made(self) -> str:
        return self.table.file

    def place(self, where: StepContext) -> Path:
        return where.workspace.root / self.table.file

    def work(self, where: StepContext, report: Report) -> None:
        from embedrec.vectors.file_formats import save_vectors
        from embedrec.workflows.export import exportable_items

        table, layout = self.table, self.wanted.layout
        opened = exportable_items(where.workspace, table.model, table.index, self.search, popularity=table.popularity)
        if not layout.holds_lists:
            save_vectors(
                opened.vectors(), self.place(where), layout.vector_format, whitespace=table.whitespace, report=report
            )
            return
        export_lists(
            self.place(where),
            opened.answers,
            self.wanted,
            opened.material,
            opened.about,
            resume=where.resumed,
            threads=where.threads,
            report=report,
        )
