"""Indexes on disk; `indexes/README.md` documents the format."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import faiss
import msgspec
import numpy as np

from embedrec.data.feature_parquet import load_features, save_features
from embedrec.data.features import Features
from embedrec.data.parquet_io import later_vocab, load_vocab, save_vocab
from embedrec.errors import DataError
from embedrec.index.faiss_parameters import check_settings
from embedrec.index.index import Index
from embedrec.index.search_settings import KINDS, SearchSettings
from embedrec.storage import artifacts
from embedrec.vectors.embeddings import Embeddings, Metric
from embedrec.vectors.faiss_child_check import check_file
from embedrec.vectors.faiss_factory import map_index

_FEATURES = "features.parquet"
_SOUND = "FAISS may read it"
_FIT = "vectors are usable and as many as the ids, which are distinct"


def save_index(
    index: Index,
    folder: str | Path,
    about: Mapping[str, Any],
    *,
    queries: np.ndarray | None = None,
    features: Features | None = None,
    made_from: artifacts.Artifact | None = None,
) -> None:
    """Write the artifact `folder`, kind "index"; `about` is provenance. The file of an index that was built on disk is
    moved there.

    features   what is known of the items, so that searches can be filtered without the sessions
    queries    (q, d) float32 that were not asked yet, to measure on later; None asks the items for each other
    made_from  see `artifacts.writing`
    """
    description = {
        "spec": index.spec,
        "metric": index.metric,
        "items": len(index),
        "dim": index.dim,
        "augmented": index.augmented,
        "longest": index.longest,
        **{name: getattr(index.settings, name) or 0 for name in KINDS},
        "facts": dict(index.measurements),
    }
    with artifacts.writing(Path(folder), "index", {**description, **about}, made_from=made_from) as draft:
        save_vocab(index.vocab, draft.path("vocab.parquet"))
        draft.array("vectors", index.embeddings.vectors)
        if index.rows is not None:
            draft.array("rows", index.rows)
        if queries is not None:
            draft.array("queries", queries)
        if features is not None:
            save_features(features.aligned(index.vocab), draft.path(_FEATURES))
        file = draft.path("index.faiss")
        if index.file is not None and index.file.is_file():  # not saved before
            shutil.move(index.file, file)
        else:
            with file.open("wb") as f:  # FAISS itself would not notice a full disk when it closes
                faiss.write_index(index.faiss, faiss.PyCallbackIOWriter(f.write))  # type: ignore[attr-defined]


def load_index(source: artifacts.Artifact | str | Path) -> Index:
    """The index of an artifact, given as one or as its folder.

    FAISS sees the file only after its checksum was found right, and all sizes in it. Raises ArtifactError when it is no
    index artifact, and when its parts do not fit together.
    """
    artifact = artifacts.as_artifact(source, "index")
    with artifacts.opening(artifact, "build the index again"):
        about = msgspec.convert(artifact.about, _About)
        ids, vectors = artifact.path("vocab.parquet"), artifact.array("vectors", "float32")
        before = artifact.state("vectors.npy", "vocab.parquet")
        if artifact.known(_FIT, *before):  # looking through all of them takes long
            vocab = later_vocab(ids)
            embeddings = Embeddings.usable(vectors, vocab, about.metric)
        else:
            embeddings = Embeddings(vectors, load_vocab(ids), about.metric)
            artifact.remember(_FIT, before)
        rows = artifact.array("rows", "int64") if "rows.npy" in artifact else None
        most = len(embeddings) if rows is None else len(rows)
        file, before = artifact.path("index.faiss"), artifact.state("index.faiss")
        if not artifact.known(_SOUND, *before):
            check_file(file, most)
            artifact.remember(_SOUND, before)
        stored = map_index(file)
        if not len(embeddings) <= stored.ntotal <= most or stored.d != embeddings.dim + about.augmented:
            raise DataError(
                f"it holds {stored.ntotal} × {stored.d} vectors "
                f"for {len(embeddings)} items in {embeddings.dim} dimensions"
            )
        settings = SearchSettings(**{name: getattr(about, name) or None for name in KINDS})
        check_settings(settings, stored, about.spec)
        if rows is not None:
            check_rows(rows, len(embeddings))
        return Index(embeddings, about.spec, stored, about.augmented, settings, about.measurements, rows, about.longest)


def load_queries(artifact: artifacts.Artifact) -> np.ndarray | None:
    """The queries (q, d) that were saved with an index to measure on later; None where there are none."""
    return artifact.array("queries", "float32") if "queries.npy" in artifact else None


def load_item_features(artifact: artifacts.Artifact) -> Features | None:
    """What is known of the items of an index; None where nothing was saved with it."""
    if _FEATURES not in artifact:
        return None
    with artifacts.opening(artifact, "build the index again"):
        return load_features(artifact.path(_FEATURES))


class _About(msgspec.Struct, rename={"measurements": "facts"}):
    """What must stand in the manifest of an index."""

    spec: str
    metric: Metric
    augmented: bool
    measurements: dict[str, Any]
    nprobe: int
    ef_search: int = 0
    rerank: int = 0
    longest: float = 0.0


def check_rows(rows: np.ndarray, n: int) -> None:
    """Raises DataError unless FAISS's labels stand for n rows, each once, or for none (−1)."""
    known, named = rows[rows >= 0] if rows.ndim == 1 else rows[:0], np.zeros(n, dtype=bool)
    if len(known) == n > known.max(initial=-1):
        named[known] = True
    if rows.ndim != 1 or rows.min(initial=0) < -1 or not (len(known) == n and named.all()):
        raise DataError(f"its labels do not stand for {n} rows, each once")
