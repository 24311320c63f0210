"""The step [[index]], which writes an index."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Literal

from embedrec.config import build
from embedrec.experiments.step import ArtifactStep, ResourceKeys, SearchKeys, StepContext, memory_bytes
from embedrec.index.target import SearchTarget, parse_target
from embedrec.models.session_encoders import Weights
from embedrec.progress import Report
from embedrec.workflows.build_index import IndexSettings, build_index_artifact
from embedrec.workflows.lineage import training_features


@dataclass(frozen=True, kw_only=True)
class Index(ArtifactStep, ResourceKeys, SearchKeys):
    """[[index]], `embedrec build-index`.

    model   a model trained in this experiment
    type    a name in INDEXES, a factory string, or "auto", whose choice depends on the machine's speed
    of      its items, its answers, or the sessions that it was trained on
    set     with `of = "sessions"`: weights of events; by default those of the model's queries
    target_recall, max_p95, max_ram  search targets such as ".98@20", "2ms", "4G"; the run fails if they are not met
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

    @cached_property
    def target(self) -> SearchTarget | None:
        return parse_target(self.target_recall, self.max_p95, self.max_ram)

    @cached_property
    def weights(self) -> Weights | None:
        return build(Weights, self.set, source=f"[[index]] {self.name}") if self.set else None

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
                memory=memory_bytes(self.memory),
            ),
            sessions=None if self.of == "items" else context.workspace.find("sessions", self.links.sessions),
            features=None if self.of == "sessions" else training_features(context.workspace, model),
            report=report,
        )
