"""What the service answers from: the indexes and models of a workspace, opened at one moment."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from threading import RLock
from typing import Any

from embedrec.errors import SettingsError, did_you_mean
from embedrec.serving.pinned_workspace import PinnedWorkspace
from embedrec.serving.schemas import ServedArtifact
from embedrec.storage.artifacts import Artifact

QUESTIONS = ("similar", "recommend", "neighbours")
_INDEXES = {"items": "similar", "answers": "recommend", "sessions": "neighbours"}  # vectors of an index → its question


@dataclass(frozen=True, eq=False)
class Source:
    """An index or a model. What answers a question is opened when it is first asked, and kept.

    artifact   the index or model
    workspace  where its model and sessions are found
    device     where item vectors are compared
    """

    artifact: Artifact
    workspace: PinnedWorkspace
    device: str
    _opened: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)
    _kept: dict[str, dict[Any, Any]] = field(default_factory=dict, init=False, repr=False)
    _loading: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)
    _lock: Any = field(default_factory=RLock, init=False, repr=False)

    @property
    def name(self) -> str:
        """The name of the artifact."""
        return self.artifact.name

    @property
    def version(self) -> str:
        """The name of the artifact and the start of its fingerprint."""
        return f"{self.name}@{self.artifact.fingerprint[:12]}"

    @cached_property
    def questions(self) -> tuple[str, ...]:
        """Which of `QUESTIONS` it answers."""
        if self.artifact.kind == "index":
            return (_INDEXES[self.artifact.about.get("of", "items")],)
        from embedrec.models.neighbour_lists import ListsModel
        from embedrec.models.session_knn.model import SessionKnnModel
        from embedrec.models.vector_model import VectorModel

        match self.recommender.model:
            case VectorModel():  # imported vectors have no training sessions
                return QUESTIONS if self.artifact.about.get("trained_on") else ("similar", "recommend")
            case ListsModel():
                return ("similar", "recommend")
            case SessionKnnModel():
                return ("recommend", "neighbours")
        return ("recommend",)

    @cached_property
    def options(self) -> tuple[str, ...]:
        """What it can do beyond its questions, see `ServedArtifact`."""
        from embedrec.models.session_knn.model import SessionKnnModel
        from embedrec.models.vector_model import VectorModel
        from embedrec.ranking.composite import CompositeModel

        able = []
        model = self.recommender.model if "recommend" in self.questions else None
        if self.artifact.kind == "model" and isinstance(model, VectorModel):
            able.append("popularity")
        if "similar" in self.questions and self.similar().vectors is not None:
            able.append("map")
        if "similar" in self.questions and self.artifact.about.get("trained_on"):
            able.append("explain similar")
        if isinstance(model, SessionKnnModel | CompositeModel):
            able.append("explain recommend")
        return tuple(able)

    def open(self) -> None:
        """Open what is asked most. Raises EmbedrecError if the artifact is damaged or does not fit its sources."""
        if "similar" in self.questions:
            self.similar()
        if "recommend" in self.questions:
            _ = self.recommender
        if self.artifact.kind == "index" and "neighbours" in self.questions:
            _ = self.past_sessions

    def read_ids(self) -> None:
        """Read the ids of items now instead of at the first request."""
        if "similar" in self.questions:
            self.similar().vocab.open()

    def similar(self, popularity: float | None = None) -> Any:
        """An `ItemNeighbourSource`. Raises SettingsError if it has no item neighbours."""
        from embedrec.workflows.similar import open_item_neighbours

        def load() -> Any:
            return open_item_neighbours(self.artifact, popularity=popularity, device=self.device)

        if popularity is None:
            return self.opened("similar", load)
        return self.remembered(("popularity", popularity), load, _SCALED)

    @property
    def recommender(self) -> Any:
        """A `Recommender`. Raises SettingsError for an index of something else than answers."""
        from embedrec.workflows.recommend import open_recommender

        return self.opened("recommend", lambda: open_recommender(self.workspace, self._model_name, self._index_name))

    @property
    def past_sessions(self) -> Any:
        """A `SessionNeighbourSource`. Raises SettingsError if it has no session neighbours."""
        from embedrec.workflows.neighbours import open_session_neighbours

        return self.opened(
            "neighbours", lambda: open_session_neighbours(self.workspace, self._model_name, self._index_name)
        )

    @property
    def model(self) -> Artifact:
        """The model: itself, or the one that the index was built from. Raises ArtifactError if it is missing."""
        if self.artifact.kind == "model":
            return self.artifact
        from embedrec.workflows.lineage import model_of

        return model_of(self.workspace, self.artifact)

    @property
    def training_sessions(self) -> Any:
        """The `Sessions` that its model was trained on. Raises SettingsError if they are unknown or have changed."""
        from embedrec.data.sessions import Sessions
        from embedrec.workflows.lineage import training_sessions

        return self.opened("sessions", lambda: Sessions.load(training_sessions(self.workspace, self.model)))

    @property
    def catalogue(self) -> Any:
        """A `Catalogue` of its items."""
        from embedrec.workflows.items import open_catalogue

        return self.opened("catalogue", lambda: open_catalogue(self.workspace, self.artifact))

    def __enter__(self) -> Source:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """An error in a block of the source has its `version`, for measurements."""
        if error is not None:
            error.version = self.version  # type: ignore[attr-defined]

    def opened(self, key: Any, load: Callable[[], Any]) -> Any:
        """What `load` returns, loaded once."""
        kept = self._opened.get(key)
        if kept is None:
            with self._lock:
                loading = self._loading.setdefault(key, RLock())
            with loading:  # what is loaded already, and what is loaded fast, does not wait for what takes long
                if key not in self._opened:
                    self._opened[key] = load()
                return self._opened[key]
        return kept

    def remembered(self, key: Any, load: Callable[[], Any], most: int) -> Any:
        """What `load` returns; of each kind, `key[0]`, the last `most` are kept."""
        with self._lock:
            kept = self._kept.setdefault(key[0], {})
            if key in kept:
                kept[key] = kept.pop(key)
                return kept[key]
        loaded = load()
        with self._lock:
            kept[key] = loaded
            while len(kept) > most:
                del kept[next(iter(kept))]
        return loaded

    @property
    def _index_name(self) -> str | None:
        return self.name if self.artifact.kind == "index" else None

    @property
    def _model_name(self) -> str | None:
        return self.name if self.artifact.kind == "model" else None


_SCALED = 4  # popularity exponents whose vectors are kept


@dataclass(frozen=True, eq=False)
class Served:
    """The sources of one moment; answers of one request come from one of these.

    sources   by kind and name
    defaults  question → the source that answers it if none is named; a question without one is not answered
    """

    sources: dict[tuple[str, str], Source]
    defaults: dict[str, Source]

    @cached_property
    def version(self) -> str:
        """It changes with any of the artifacts."""
        digests = sorted(f"{s.artifact.kind}/{s.version}" for s in self.sources.values())
        return hashlib.sha256("\n".join(digests).encode()).hexdigest()[:12]

    def find(self, question: str, index: str | None, model: str | None) -> Source:
        """The source that answers a question. Raises SettingsError if none does, or both are named."""
        if index is not None and model is not None:
            raise SettingsError("index and model are mutually exclusive; name one of them")
        if index is None and model is None:
            source = self.defaults.get(question)
            if source is None:
                raise SettingsError(f"nothing that is served answers {question}; GET /v1/version lists what is served")
            return source
        kind, name = ("model", model) if index is None else ("index", index)
        source = self.sources.get((kind, str(name)))
        if source is None:
            names = [name for of, name in self.sources if of == kind]
            hint = did_you_mean(str(name), names) or (f"; served are {', '.join(names)}" if names else "")
            raise SettingsError(f"no {kind} {name!r} is served{hint}")
        if question and question not in source.questions:
            others = [s.name for s in self.sources.values() if question in s.questions]
            hint = f"; {', '.join(others)} can" if others else ""
            raise SettingsError(f"{kind} {name} cannot answer {question}{hint}")
        return source

    def any_source(self, index: str | None, model: str | None) -> Source:
        """The source of that name, whatever it answers; without a name, that of similar items, or the first."""
        if index is None and model is None:
            return self.defaults.get("similar") or next(iter(self.sources.values()))
        return self.find("", index, model)

    def describe(self) -> list[ServedArtifact]:
        """What is served."""
        described = []
        for (kind, name), source in self.sources.items():
            artifact = source.artifact
            about = artifact.about
            recipe = about.get("recipe") or about.get("spec", "")
            default = [question for question, chosen in self.defaults.items() if chosen is source]
            measured = {
                key: value for key, value in about.get("facts", {}).items() if isinstance(value, int | float | str)
            }
            described.append(
                ServedArtifact(
                    kind, name, source.version, artifact.fingerprint, artifact.created, recipe, about.get("items", 0),
                    list(source.questions), default, list(source.options), measured,
                )
            )  # fmt: skip
        return described
