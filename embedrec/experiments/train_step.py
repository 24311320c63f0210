"""The step [[train]], which writes a model."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Any, ClassVar

from embedrec.config import build, settings_of
from embedrec.experiments.grid_search import SettingsGrid, best_recipe
from embedrec.experiments.step import ArtifactStep, ResourceKeys, StepContext, memory_bytes
from embedrec.models import recipe_class
from embedrec.models.base import Recipe
from embedrec.models.torch_recipe import choose_device, is_torch_recipe
from embedrec.progress import Report
from embedrec.workflows.composite_parts import device_for
from embedrec.workflows.train import train_model


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
    """

    kind: ClassVar[str] = "train"
    artifact: ClassVar[str] = "model"
    model: str
    set: dict[str, Any] = field(default_factory=dict)
    grid: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    best: str = "recall@20"

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
        from embedrec.training.context import TrainingContext

        source = context.workspace.find("sessions", self.links.sessions)
        recipe: Any = self.recipes[0]
        if self.grid:
            grid = SettingsGrid(self.name, tuple(self.grid), self.recipes, self.best, self.seed)
            recipe = best_recipe(grid, self.links.evaluation, source, context, report)
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
            seed=self.seed,
            threads=context.threads,
            report=report,
            # experiments compare models, and stop at no figure
            context=replace(training, memory=memory_bytes(self.memory), force=True),
        )
