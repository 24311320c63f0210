"""The steps of a pipeline: sessions, models and indexes, with the commands that go on from each as methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

from embedrec.config import build
from embedrec.data.sessions import Sessions
from embedrec.errors import SettingsError
from embedrec.evaluation.evaluate import Evaluation
from embedrec.index.index import Index
from embedrec.index.search_settings import KINDS, SearchSettings
from embedrec.index.serialization import load_index
from embedrec.index.target import parse_target
from embedrec.models import recipe_class
from embedrec.models.base import Model, Recipe
from embedrec.models.serialization import load_model
from embedrec.models.torch_recipe import choose_device, display_name, is_torch_recipe
from embedrec.pipeline.context import Step, open_step, split_options, with_threads
from embedrec.pipeline.queries import Queried
from embedrec.ranking.composite import CompositeRecipe
from embedrec.ranking.parts import COMPOSITES
from embedrec.storage.memory_budget import parse_size
from embedrec.storage.workspace import Workspace
from embedrec.tabular.frame_table import naming_arguments
from embedrec.training.callbacks import Callback, calling_back
from embedrec.training.context import TrainingContext
from embedrec.workflows.build_index import (
    IndexSettings,
    build_index_artifact,
    features_for_index,
    index_name,
    sessions_to_index,
)
from embedrec.workflows.evaluate import evaluate_task
from embedrec.workflows.evaluated_models import check_model_names, model_to_evaluate
from embedrec.workflows.evaluation_options import EvaluationOptions
from embedrec.workflows.lineage import training_sessions
from embedrec.workflows.train import TrainingOptions, train_model
from embedrec.workflows.warm_start import WarmStart, check_start, continuing_settings

_EVALUATION: dict[str, Any] = {  # options of `evaluate` and their defaults
    "valid": False,
    "given": None,
    "ties": "conservative",
    "seen": None,
    "unknown": "miss",
    "draws": 1000,
}


class PreparedSessions(Step):
    """Sessions of a pipeline; made by `embedrec.prepare`, or opened from a workspace.

    >>> import pandas as pd
    >>> from embedrec import prepare
    >>> visits = pd.DataFrame({"visit": [1, 1, 2, 2], "sku": ["bread", "jam", "jam", "bread"]})
    >>> sessions = prepare(visits, session="visit", item="sku")
    >>> sessions.sessions.vocab.ids.tolist()
    ['bread', 'jam']
    >>> sessions.train("cooccurrence").recommend(["jam"]).ids()
    ['bread']
    """

    @classmethod
    def open(
        cls, workspace: Workspace | str | Path = ".", name: str | None = None, *, progress: bool | None = None
    ) -> PreparedSessions:
        """The sessions of that name in a workspace, or the latest. Raises ArtifactError if there are none."""
        return cls(*open_step("sessions", workspace, name, progress))

    @cached_property
    def sessions(self) -> Sessions:
        """The sessions: S sessions of E events."""
        loaded: Sessions = self.opened("sessions", lambda: Sessions.load(self.artifact))
        return loaded

    def train(  # noqa: PLR0913 (the options of `embedrec train`)
        self,
        model: str | Recipe,
        *,
        name: str | None = None,
        start: TrainedModel | None = None,
        seed: int = 0,
        threads: int | None = None,
        device: str = "auto",
        resume: bool = False,
        force: bool = False,
        callbacks: Sequence[Callback] = (),
        **settings: Any,
    ) -> TrainedModel:
        """Train a model on these sessions, as `embedrec train` does.

        model      a name in `embedrec.models.MODELS`, such as "word2vec"; or a recipe, such as `Word2Vec(dim=32)`
        name       of the model in the workspace; None uses that of the recipe
        start      a model to continue, for recipes with warm start; its settings are the defaults
        seed       source of all randomness; with threads=1 the same seed gives the same bytes
        threads    None uses those of `prepare`
        device     "cpu", "cuda" or "auto", for models that train with torch, also as parts of a fusion or ranker
        resume     continue an interrupted training, for models that train with torch
        force      write a fusion or ranker that is not better than its best part
        callbacks  called after each epoch, see `Callback`; of models that train in epochs
        settings   settings of the recipe: epochs=5, dim=32; `help(embedrec.Word2Vec)` lists those of word2vec

        Raises SettingsError for an unknown model, an unknown setting, and what the model does not support;
        TrainingError if training diverges; TargetNotMet for a fusion or ranker that is not better than its best part,
        unless `force` is given; and what a callback raises.
        """
        context = with_threads(self.context, threads)
        with naming_arguments():
            recipe = _recipe(model, start, settings)
        folder = context.folder("model", name, recipe.name)
        with context.running(f"train {recipe.name}") as shown, calling_back(callbacks, recipe, shown) as report:
            composite = isinstance(recipe, CompositeRecipe)
            training = TrainingContext(device if composite else choose_device(recipe, device, report), force=force)
            if is_torch_recipe(recipe):
                checkpoint = context.workspace.folder("checkpoint", folder.name)
                training = replace(training, checkpoint=checkpoint, resume=resume)
            elif resume:
                raise SettingsError(f"{display_name(recipe)} does not support --resume; leave it out")
            if force and not composite:
                raise SettingsError(f"--force is for {' and '.join(COMPOSITES)}, not for {recipe.name}; leave it out")
            self.opened("current", lambda: None)
            done = train_model(
                recipe,
                self.artifact,
                folder,
                start=None if start is None else WarmStart.of(context.workspace, start.artifact, report),
                seed=seed,
                threads=context.threads,
                report=report,
                context=training,
            )
        return TrainedModel(done, self.context)

    def evaluate(
        self,
        model: str | TrainedModel,
        *,
        split: str | None = None,
        protocol: Any = None,
        at: Sequence[int] = (1, 5, 10, 20),
        seed: int = 0,
        device: str = "auto",
        **options: Any,
    ) -> Evaluation:
        """Evaluate a model on held-out sessions, as `embedrec evaluate` does.

        model     a trained model, which is trained again on the training part with its settings unless it was trained
                  on exactly that part; or the name of a recipe, which is trained now
        split     a rule such as "time:days=7"; None uses the held-out part, else the default rule of the sessions
        protocol  "next", "last", "rest", "users" or "similar"; None uses the default of the split
        at        list lengths k of the metrics
        options   valid, given, ties, seen, unknown and draws, see `embedrec evaluate --help`

        Raises SettingsError for a rule or protocol that does not suit the sessions.
        """
        given = {**_EVALUATION, **split_options(options, {"": _EVALUATION}, "evaluate")[""]}
        name = model.name if isinstance(model, TrainedModel) else model
        with self.context.running(f"evaluate {name}") as report:
            check_model_names(self.workspace, [name])
            evaluation = EvaluationOptions(split=split, protocol=protocol, at=tuple(at), seed=seed, **given)
            task = evaluation.open_task(self.artifact)
            settings = evaluation.settings(task)
            training = TrainingOptions(seed=seed, threads=self.context.threads, device=device)
            evaluated = model_to_evaluate(self.workspace, name, task, training, report=report)
            return evaluate_task(task, evaluated.model, settings, report=report)

    def __repr__(self) -> str:
        about = self.artifact.about
        return f"sessions {self.name}: " + ", ".join(f"{about[k]:,} {k}" for k in ("sessions", "items", "events"))

    def _repr_html_(self) -> str:
        about = self.artifact.about
        removed = {
            f"{one['filter']} = {one['setting']}": f"removed {one['sessions']:,} sessions, {one['items']:,} items, "
            f"{one['events']:,} events"
            for one in about.get("removed", ())
        }
        return _html(self, {**removed, "folder": self.artifact.folder})


class TrainedModel(Queried):
    """A model of a pipeline; made by `PreparedSessions.train`, or opened from a workspace.

    >>> import pandas as pd
    >>> from embedrec import prepare
    >>> visits = pd.DataFrame({"visit": [1, 1, 2, 2], "sku": ["bread", "jam", "jam", "bread"]})
    >>> model = prepare(visits, session="visit", item="sku").train("cooccurrence")
    >>> model.similar("bread").ids()
    ['jam']
    """

    @classmethod
    def open(
        cls, workspace: Workspace | str | Path = ".", name: str | None = None, *, progress: bool | None = None
    ) -> TrainedModel:
        """The model of that name in a workspace, or the latest. Raises ArtifactError if there is none."""
        return cls(*open_step("model", workspace, name, progress))

    @cached_property
    def model(self) -> Model:
        """The model."""
        loaded: Model = self.opened("model", lambda: load_model(self.artifact, threads=self.context.threads))
        return loaded

    @property
    def sessions(self) -> PreparedSessions:
        """The sessions it was trained on. Raises SettingsError if they have changed since."""
        return PreparedSessions(training_sessions(self.workspace, self.artifact), self.context)

    def build_index(
        self,
        type: str = "auto",
        *,
        of: Any = "items",
        name: str | None = None,
        popularity: float | None = None,
        metric: Any = None,
        target_recall: str | None = None,
        seed: int = 0,
        **options: Any,
    ) -> BuiltIndex:
        """Build a FAISS index of the vectors and measure its recall, as `embedrec build-index` does.

        type           "flat", "ivf", "hnsw" …, a FAISS factory string, or "auto": the fastest that meets the target
        of             "items", for `similar`; "answers", for `recommend`; "sessions", for `neighbours`
        name           of the index in the workspace; None uses MODEL-TYPE
        popularity     exponent of the item norms: 0 for cosine, 1 for dot product
        metric         "cosine", "dot" or "l2"; None uses that of the model
        target_recall  minimum recall of the exact k nearest neighbours: ".98@20"
        seed           of k-means and of the sample that measures
        options        max_p95="2ms", max_ram="4G", memory="2G", device="cuda", nprobe, ef_search, rerank; and `weights`
                       of events in session vectors, a dict of decay, idf and plays

        Raises SettingsError for settings that the model or its vectors do not support, TargetNotMet if no index meets
        the target.
        """
        parts = split_options(
            options,
            {"search": KINDS, "more": ("max_p95", "max_ram", "memory", "device", "weights")},
            "build_index",
        )
        more = parts["more"]
        folder = self.context.folder("index", name, index_name(self.name, type, of))
        with self.context.running("build-index") as report:
            self.opened("current", lambda: None)
            target = parse_target(target_recall, more.get("max_p95"), more.get("max_ram"))
            memory = more.get("memory")
            settings = IndexSettings(
                type,
                of,
                _weights(more.get("weights")),
                popularity,
                metric,
                SearchSettings(**parts["search"]),
                target,
                more.get("device", "cpu"),
                seed,
                None if memory is None else parse_size(memory),
            )
            done = build_index_artifact(
                self.artifact,
                folder,
                settings,
                sessions=sessions_to_index(self.workspace, self.artifact, of),
                features=None if of == "sessions" else features_for_index(self.workspace, self.artifact, report),
                report=report,
            )
        return BuiltIndex(done, self.context)

    def evaluate(self, **options: Any) -> Evaluation:
        """Evaluate the model on a held-out part of its training sessions, see `PreparedSessions.evaluate`."""
        return self.sessions.evaluate(self, **options)

    def __repr__(self) -> str:
        about = self.artifact.about
        recipe, items = about["recipe"], about["items"]
        described = f"model {self.name}: {recipe}, {items:,} items"
        return described + (f", trained in {about['seconds']:.1f} s" if "seconds" in about else "")

    def _repr_html_(self) -> str:
        return _html(self, {**self.artifact.about["settings"], "folder": self.artifact.folder})


class BuiltIndex(Queried):
    """An index of a pipeline; made by `TrainedModel.build_index`, or opened from a workspace.

    >>> import pandas as pd
    >>> from embedrec import prepare
    >>> visits = pd.DataFrame({"visit": [1, 1, 2, 2], "sku": ["bread", "jam", "jam", "bread"]})
    >>> index = prepare(visits, session="visit", item="sku").train("svd", dim=2).build_index("flat")
    >>> index
    index svd-flat: Flat, 2 items, dot, recall@20 1.000
    >>> index.similar("bread").ids()
    ['jam']
    """

    @classmethod
    def open(
        cls, workspace: Workspace | str | Path = ".", name: str | None = None, *, progress: bool | None = None
    ) -> BuiltIndex:
        """The index of that name in a workspace, or the latest. Raises ArtifactError if there is none."""
        return cls(*open_step("index", workspace, name, progress))

    @cached_property
    def index(self) -> Index:
        """The index."""
        loaded: Index = self.opened("index", lambda: load_index(self.artifact))
        return loaded

    def __repr__(self) -> str:
        about, measured = self.artifact.about, self.artifact.about["facts"]
        recalls = [f"{key} {value:.3f}" for key, value in measured.items() if key.startswith("recall@")]
        described = [f"{about['items']:,} {about.get('of', 'items')}", about["metric"], *recalls[:1]]
        return f"index {self.name}: {about['spec']}, " + ", ".join(described)

    def _repr_html_(self) -> str:
        measured = {k: v for k, v in self.artifact.about["facts"].items() if isinstance(v, int | float | str)}
        return _html(self, {**measured, "folder": self.artifact.folder})


def _recipe(model: str | Recipe, start: TrainedModel | None, settings: Mapping[str, Any]) -> Any:
    """The recipe of a name, or a given one, with settings over its own, or over those of the model it continues."""
    if not isinstance(model, str):
        if start is not None:
            check_start(model, start.artifact)
        return build(type(model), {**vars(model), **settings}, source=f"the settings of {model.name}")
    cls = recipe_class(model)
    base = {}
    if start is not None:
        known = WarmStart.of(start.context.workspace, start.artifact).sessions is not None
        base = continuing_settings(cls, start.artifact, changes=known)
    return build(cls, {**base, **settings}, source=f"the settings of {model}")


def _weights(given: Mapping[str, Any] | None) -> Any:
    from embedrec.models.session_encoders import Weights

    return None if given is None else build(Weights, given, source="weights")


def _html(step: Step, facts: Mapping[str, Any]) -> str:
    """The line of a step, and a table of facts."""
    rows = "".join(
        f"<tr><th>{escape(str(name))}</th><td>{escape(str(value))}</td></tr>" for name, value in facts.items()
    )
    return f"<div>{escape(repr(step))}</div><table>{rows}</table>"
