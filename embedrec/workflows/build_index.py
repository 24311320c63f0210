"""Build an index of a model artifact's vectors, measure it, and write the index artifact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from embedrec.config import settings_of
from embedrec.data.features import Features
from embedrec.data.sessions import Sessions
from embedrec.errors import ArtifactError, SettingsError
from embedrec.index.search_settings import AS_BUILT, SearchSettings
from embedrec.index.target import SearchTarget
from embedrec.models.filtered_recommend import sample_query_vectors
from embedrec.models.serialization import load_vector_model
from embedrec.models.session_encoders import Weights
from embedrec.models.space_maps import in_space
from embedrec.models.vector_model import VectorModel
from embedrec.progress import Report, quiet
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.storage.atomic import scratch_folder
from embedrec.storage.memory_budget import IN_MEMORY, MemoryBudget
from embedrec.storage.workspace import Workspace
from embedrec.vectors.embeddings import Embeddings, Metric
from embedrec.vectors.space import space_of
from embedrec.workflows.lineage import origin, provenance, training_features, training_sessions

if TYPE_CHECKING:
    from embedrec.index.build_settings import Encode
    from embedrec.index.on_disk_ivf import Vectors
    from embedrec.spark.session import SparkSettings

Indexed = Literal["items", "answers", "sessions"]
SPARK_MEMORY = 1 << 30  # bytes of the budget of the driver


@dataclass(frozen=True)
class IndexSettings:
    """The settings of an index of a model.

    kind        an index type, a FAISS factory string, or "auto"
    of          "items", "answers" (the items that histories are compared with), or "sessions"
    weights     of the events in session vectors; None uses those of the model's queries
    popularity  the popularity exponent, see `VectorModel.scale_norms`
    metric      "cosine", "dot" or "l2" instead of the model's own
    search      default settings of searches; open ones are tuned
    target      recall, latency and memory that the index must meet, see `autotune.tune_index`
    device      where k-means runs: "cpu", or "cuda" for a GPU
    memory      a budget in bytes; cells of a larger index are written to disk
    space       the id of an older space, or its beginning, that the vectors are rotated into, see `space_maps`
    """

    kind: str = "auto"
    of: Indexed = "items"
    weights: Weights | None = None
    popularity: float | None = None
    metric: Metric | None = None
    search: SearchSettings = AS_BUILT
    target: SearchTarget | None = None
    device: str = "cpu"
    seed: int = 0
    memory: int | None = None
    space: str | None = None

    def __post_init__(self) -> None:
        if self.weights is not None and self.of != "sessions":
            raise SettingsError("--set needs --of sessions; leave one of them out")
        if self.popularity is not None and (self.of == "sessions" or self.metric is not None):
            raise SettingsError(
                "--popularity applies to items and sets the metric; leave --of sessions or --metric out"
            )
        if self.metric is not None and self.of == "answers":
            raise SettingsError("--of answers uses the metric of the model; leave --metric out")


def build_index_artifact(
    source: Artifact,
    folder: Path,
    settings: IndexSettings,
    *,
    sessions: Artifact | None = None,
    features: Features | None = None,
    spark: SparkSettings | None = None,
    report: Report = quiet,
) -> Artifact:
    """Build an index of a model artifact's vectors, measure it, and write the index artifact `folder`.

    sessions  the sessions to index; with of="answers", the sessions whose histories are the queries of the measurement;
              without them, items are the queries
    features  item features to store with the index
    spark     where the vectors are encoded; None for this process. The index is then built in a file, by default with
              a budget of SPARK_MEMORY, and has the bytes of a build in a file by one machine with the same budget

    Raises SettingsError for settings that the model or its vectors do not support.
    """
    from embedrec.index.build import build_index
    from embedrec.index.build_settings import BuildSettings
    from embedrec.index.measure import SAMPLE_SIZE
    from embedrec.index.serialization import save_index

    artifacts.check_place(folder)
    if spark is not None:
        check_for_spark(settings)
        settings = replace(settings, memory=settings.memory or SPARK_MEMORY)
    MemoryBudget(settings.memory)  # a budget that is too small is rejected before anything is read
    model, space = indexed_model(source, settings)
    embeddings = item_vectors(model, settings)
    samples: Sequence[np.ndarray | None] = None, None
    if sessions is not None:
        loaded = Sessions.load(sessions)
        if settings.of == "sessions":
            embeddings = model.encode(loaded)
        else:
            seeds = settings.seed, settings.seed + 1
            drawn = [sample_query_vectors(model, loaded, SAMPLE_SIZE, seed=seed) for seed in seeds]
            samples = [queries if len(queries) else None for queries in drawn]
        if settings.of == "sessions" and settings.metric is not None:
            embeddings = replace(embeddings, metric=settings.metric)
    about: dict[str, Any] = {"type": settings.kind, "of": settings.of, "indexed": provenance(source), **origin(source)}
    about |= {"space": space}
    about["seed"] = settings.seed
    if sessions is not None:
        about["sessions"] = provenance(sessions)
    if settings.weights is not None:
        about["weights"] = settings_of(settings.weights)
    if settings.popularity is not None:
        about["popularity"] = settings.popularity
    with (
        _budget(settings.memory, folder) as budget,
        _encoding(source, settings, len(embeddings), folder, spark) as encode,
    ):
        built = build_index(
            embeddings,
            settings.kind,
            BuildSettings(settings.search, settings.target, settings.device, settings.seed, budget, encode),
            queries=samples[0],
            report=report,
        )
        save_index(built, folder, about, queries=samples[1], features=features)
    return artifacts.read(folder, "index")


def indexed_model(source: Artifact, settings: IndexSettings) -> tuple[VectorModel, Any]:
    """The model of an artifact, as it is indexed, and its space."""
    model, space = load_vector_model(source), space_of(source)
    if settings.space is not None:
        model, space = in_space(model, source, settings.space)
    if settings.popularity is not None:
        model = model.scale_norms(settings.popularity)
    if settings.weights is not None:
        model = model.with_weights(settings.weights)
    return model, space


def item_vectors(model: VectorModel, settings: IndexSettings) -> Embeddings:
    """The vectors of an index of items or answers."""
    embeddings = model.answers if settings.of == "answers" else model.embeddings
    return embeddings if settings.metric is None else replace(embeddings, metric=settings.metric)


def check_for_spark(settings: IndexSettings) -> None:
    """Raises SettingsError for an index that is not built on Spark."""
    if settings.kind == "auto" or settings.target is not None:
        raise SettingsError("the engine spark builds one index; name its --type, and leave targets out")
    if settings.of == "sessions":
        raise SettingsError("the engine spark indexes items and answers, not sessions; leave --engine out")


@dataclass(frozen=True)
class OpenVectors:
    """Opens the vectors of an index of items or answers in an executor: augmented, max_norm → `stored_vectors`."""

    folder: Path
    fingerprint: str
    settings: IndexSettings

    def __call__(self, augmented: bool, max_norm: float) -> Vectors:
        """Raises ArtifactError if the model is another one than that of the driver."""
        from embedrec.index.construct import stored_vectors

        source = artifacts.read(self.folder, "model")
        if source.fingerprint != self.fingerprint:
            raise ArtifactError(f"model {source.name} was replaced while it was indexed; build the index again")
        return stored_vectors(item_vectors(indexed_model(source, self.settings)[0], self.settings), augmented, max_norm)


@contextmanager
def _encoding(
    source: Artifact, settings: IndexSettings, n: int, folder: Path, spark: SparkSettings | None
) -> Iterator[Encode | None]:
    """What encodes the n vectors of an index on Spark; None for this process."""
    if spark is None:
        yield None
        return
    from embedrec.spark.encode_vectors import SparkEncoding
    from embedrec.spark.session import spark_session
    from embedrec.spark.written_parts import staging

    vectors = OpenVectors(source.folder.absolute(), source.fingerprint, settings)
    with spark_session(spark) as session, staging(session, folder) as parts:
        yield SparkEncoding(session, parts, n, vectors, settings.memory or SPARK_MEMORY)


@contextmanager
def _budget(memory: int | None, folder: Path) -> Iterator[MemoryBudget]:
    """A budget; its files are in a temporary folder beside `folder`."""
    if memory is None:
        yield IN_MEMORY
    else:
        with scratch_folder(folder) as beside:
            yield MemoryBudget(memory, beside)


def needs_sessions(model: Artifact, of: Indexed) -> bool:
    """Whether `build_index_artifact` needs the sessions that a model was trained on."""
    return of == "sessions" or (of == "answers" and model.about.get("trained_on") is not None)


def sessions_to_index(workspace: Workspace, model: Artifact, of: Indexed) -> Artifact | None:
    """The training sessions that `build_index_artifact` needs; None if it needs none. See `training_sessions`."""
    return training_sessions(workspace, model) if needs_sessions(model, of) else None


def features_for_index(workspace: Workspace, model: Artifact, report: Report = quiet) -> Features | None:
    """The features of a model's items, to be stored with its index; None with a "note" if they cannot be read."""
    try:
        return training_features(workspace, model)
    except (ArtifactError, SettingsError) as e:
        message = f"the index is written without item features, so --where cannot be used with it: {e}"
        report("note", message=message)
        return None


def index_name(model: str, kind: str, of: str) -> str:
    """The default name of an index: "word2vec-ivf", "gru4rec-answers-ivf"."""
    plain = "".join(c if c.isalnum() else "-" for c in kind.lower()).strip("-")
    return f"{model}{'' if of == 'items' else f'-{of}'}-{plain}"
