"""The step [[train]], which writes a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Any, ClassVar

from embedrec.config import build, settings_of
from embedrec.experiments.grid_search import SettingsGrid, best_recipe
from embedrec.experiments.step import NO_KEY, ArtifactStep, ResourceKeys, StepContext, memory_bytes
from embedrec.models import recipe_class
from embedrec.models.base import Recipe
from embedrec.models.torch_recipe import choose_device, is_torch_recipe
from embedrec.progress import Report
from embedrec.workflows.composite_parts import device_for
from embedrec.workflows.train import train_model
from embedrec.workflows.warm_start import WarmStart, keep_space


@dataclass(frozen=True, kw_only=True)
class Train(ArtifactStep, ResourceKeys):
    """[[train]], `embedrec train`.

    model   a name in MODELS
    name    of the trained model; by default the recipe's
    set     settings of the model
    grid    setting → values: every combination is evaluated on a validation part of the training sessions, and the
            best one is trained
    best    the metric that chooses
    memory  for models that can be bounded
    start   key `from`: name of an earlier [[train]] whose model is continued
    align   rotate the model into the space of the one that it continues
    frozen  keep the vectors of that one, and solve only new items against them
    base    the settings that `set` changes: those of a model that is continued
    """

    kind: ClassVar[str] = "train"
    artifact: ClassVar[str] = "model"
    model: str
    set: dict[str, Any] = field(default_factory=dict)
    grid: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    best: str = "recall@20"
    start: str | None = field(default=None, metadata={"toml": "from"})
    align: bool = False
    frozen: bool = False
    base: Mapping[str, Any] = field(default_factory=dict, metadata=NO_KEY)

    @cached_property
    def recipes(self) -> tuple[Recipe, ...]:
        """The recipe, or those of every combination of the grid."""
        cls = recipe_class(self.model)
        combinations = (dict(zip(self.grid, values, strict=True)) for values in product(*self.grid.values()))
        where = f"[[train]] {self.name}"
        return tuple(build(cls, {**self.base, **self.set, **values}, source=where) for values in combinations)

    def settings(self) -> dict[str, Any]:
        table: dict[str, Any] = {"model": self.model, "memory": self.memory, "seed": self.seed}
        if self.start is not None:
            table |= {"from": self.start, "align": self.align, "frozen": self.frozen}
        if not self.grid:
            return {**table, "settings": settings_of(self.recipes[0])}
        grid = {"grid": [settings_of(recipe) for recipe in self.recipes], "best": self.best}
        return {**table, **grid, "ask": asdict(self.links.evaluation)}

    def _start(self, context: StepContext, report: Report) -> WarmStart | None:
        if self.start is None:
            return None
        space = keep_space(self.start, self.align, self.frozen)
        return WarmStart.of(context.workspace, context.workspace.find("model", self.start), report, space=space)

    def run(self, context: StepContext, report: Report) -> None:
        from embedrec.training.context import TrainingContext

        source = context.workspace.find("sessions", self.links.sessions)
        recipe: Any = self.recipes[0]
        if self.grid:
            grid = SettingsGrid(self.name, tuple(self.grid), self.recipes, self.best, self.seed)
            recipe = best_recipe(grid, self.links.evaluation, source, context, report)
        start = self._start(context, report)
        if start is not None and self.frozen:  # also settings that its training has chosen
            recipe = build(type(recipe), start.model.about["settings"], source=str(start.model.folder))
        device = device_for(recipe, context.device)
        training = TrainingContext(device)
        if is_torch_recipe(recipe):
            checkpoint = context.workspace.folder("checkpoint", self.name)
            device = choose_device(recipe, device, report)
            training = TrainingContext(device, checkpoint, context.resumed and checkpoint.exists())
        train_model(
            recipe,
            source,
            self.path(context),
            start=start,
            seed=self.seed,
            threads=context.threads,
            report=report,
            # experiments compare models, and stop at no figure
            context=replace(training, memory=memory_bytes(self.memory), force=True),
        )
