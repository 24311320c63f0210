"""Build an index of a model artifact's vectors, measure it, and write the index artifact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from embedrec.config import settings_of
from embedrec.data.features import Features
from embedrec.data.sessions import Sessions
from embedrec.errors import SettingsError
from embedrec.index.search_settings import AS_BUILT, SearchSettings
from embedrec.index.target import SearchTarget
from embedrec.models.filtered_recommend import some_queries
from embedrec.models.serialization import load_vector_model
from embedrec.models.session_encoders import Weights
from embedrec.progress import Report, quiet
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.storage.atomic import scratch_folder
from embedrec.storage.memory_budget import IN_MEMORY, MemoryBudget
from embedrec.vectors.embeddings import Metric
from embedrec.workflows.lineage import origin, provenance

Indexed = Literal["items", "answers", "sessions"]


def build_index_artifact(
    source: Artifact,
    folder: Path,
    kind: str,
    *,
    of: Indexed = "items",
    sessions: Artifact | None = None,
    weights: Weights | None = None,
    popularity: float | None = None,
    features: Features | None = None,
    settings: SearchSettings = AS_BUILT,
    promise: SearchTarget | None = None,
    metric: Metric | None = None,
    device: str = "cpu",
    seed: int = 0,
    memory: int | None = None,
    report: Report = quiet,
) -> Artifact:
    """Build an index of a model artifact's vectors, measure it, and write the index artifact `folder`.

    of          its items; its answers, which histories are asked about; or sessions
    sessions    the sessions to index; of="answers": those whose histories are asked to measure it, else items are
    weights     what events count in those vectors, if not as in the model's queries
    popularity  how much of an item's norm counts, see `VectorModel.scale_norms`
    features    what is known of its items, which goes along
    settings    of searches that say nothing else; what it leaves open is tuned
    promise     what must hold of it, see `tuner.tuned`
    metric      "cosine", "dot" or "l2" instead of the model's own
    device      where cells are sought: "cpu", or "cuda" for a GPU
    memory      a budget in bytes, under which cells of an index that does not fit are written to disk
    """
    from dataclasses import replace

    from embedrec.index.build import build_index
    from embedrec.index.build_settings import BuildSettings
    from embedrec.index.measure import SAMPLE_SIZE
    from embedrec.index.serialization import save_index

    artifacts.check_place(folder)
    MemoryBudget(memory)  # a budget that is too small is refused before anything is read
    if weights is not None and of != "sessions":
        raise SettingsError(f"settings are of the vectors of sessions, but {of} are indexed; leave --set out")
    if popularity is not None and (of == "sessions" or metric is not None):
        raise SettingsError("popularity is of items, and sets the metric; leave --of sessions or --metric out")
    if metric is not None and of == "answers":
        raise SettingsError("answers are compared as their model does; leave --metric out")
    model = load_vector_model(source)
    if popularity is not None:
        model = model.scale_norms(popularity)
    if weights is not None:
        model = model.weighted(weights)
    embeddings = model.answers if of == "answers" else model.embeddings
    asked: Sequence[np.ndarray | None] = None, None
    if sessions is not None:
        loaded = Sessions.load(sessions)
        if of == "sessions":
            embeddings = model.encode(loaded)
        else:
            some = [some_queries(model, loaded, SAMPLE_SIZE, seed=number) for number in (seed, seed + 1)]
            asked = [queries if len(queries) else None for queries in some]
    if metric is not None:
        embeddings = replace(embeddings, metric=metric)
    about: dict[str, Any] = {"type": kind, "of": of, "indexed": provenance(source), **origin(source), "seed": seed}
    if sessions is not None:
        about["sessions"] = provenance(sessions)
    if weights is not None:
        about["weights"] = settings_of(weights)
    if popularity is not None:
        about["popularity"] = popularity
    with _room(memory, folder) as room:
        built = build_index(
            embeddings,
            kind,
            BuildSettings(search=settings, target=promise, device=device, seed=seed, memory=room),
            queries=asked[0],
            report=report,
        )
        save_index(built, folder, about, queries=asked[1], features=features)
    return artifacts.read(folder, "index")


@contextmanager
def _room(memory: int | None, folder: Path) -> Iterator[MemoryBudget]:
    """Room in memory, or under a budget in a folder beside `folder` that goes when the block ends."""
    if memory is None:
        yield IN_MEMORY
    else:
        with scratch_folder(folder) as beside:
            yield MemoryBudget(memory, beside)


def index_name(model: str, kind: str, of: str) -> str:
    """What an index of a model is called where nobody names it: "word2vec-ivf", "gru4rec-answers-ivf"."""
    plain = "".join(c if c.isalnum() else "-" for c in kind.lower()).strip("-")
    return f"{model}{'' if of == 'items' else f'-{of}'}-{plain}"
