"""Indexes on disk; `docs/reference/artifact-format.md` documents the format."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import faiss
import msgspec
import numpy as np

from embedrec.data.parquet_io import lazy_vocab, load_vocab, save_vocab
from embedrec.errors import DataError
from embedrec.index.index import Index
from embedrec.index.search_parameters import check_settings
from embedrec.index.search_settings import KINDS, SearchSettings
from embedrec.storage import artifacts
from embedrec.vectors.embeddings import Embeddings, Metric
from embedrec.vectors.faiss_structure import map_index

if TYPE_CHECKING:
    from embedrec.data.features import Features

_FEATURES = "features.parquet"
_REMEDY = "build the index again"
# checks that are remembered until the files change
_FILE_CHECK = "FAISS may read it"
_VECTORS_CHECK = "vectors are usable and as many as the ids, which are distinct"


def save_index(
    index: Index,
    folder: str | Path,
    about: Mapping[str, Any],
    *,
    queries: np.ndarray | None = None,
    features: Features | None = None,
    made_from: artifacts.Artifact | None = None,
) -> None:
    """Write the artifact `folder`, kind "index". The file of an index that was built on disk is moved there.

    about      provenance
    queries    (q, d) float32 unseen queries for later measurements; None measures with items as queries
    features   of the items, so that searches can be filtered without the sessions
    made_from  see `artifacts.writing`

    >>> import numpy as np
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from embedrec import Embeddings, Vocab, build_index, save_index
    >>> embeddings = Embeddings(np.eye(3), Vocab(["bread", "jam", "nail"]))
    >>> with TemporaryDirectory() as folder:
    ...     save_index(build_index(embeddings, "flat"), Path(folder) / "shop", {})
    ...     sorted(file.name for file in Path(folder, "shop").iterdir())
    ['index.faiss', 'manifest.json', 'vectors.npy', 'vocab.parquet']
    """
    description = {
        "spec": index.spec,
        "metric": index.metric,
        "items": len(index),
        "dim": index.dim,
        "augmented": index.augmented,
        "longest": index.max_norm,
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
            from embedrec.data.feature_parquet import save_features

            save_features(features.align(index.vocab), draft.path(_FEATURES))
        file = draft.path("index.faiss")
        if index.file is not None and index.file.is_file():  # not saved before
            shutil.move(index.file, file)
        else:
            with file.open("wb") as f:  # FAISS itself does not report a full disk when it closes a file
                faiss.write_index(index.faiss, faiss.PyCallbackIOWriter(f.write))  # type: ignore[attr-defined]


def load_index(source: artifacts.Artifact | str | Path) -> Index:
    """The index of an artifact or of its folder.

    FAISS reads the file only after its checksum and all sizes in it were verified. Raises ArtifactError for a folder
    that is no index artifact, and for parts that do not match.

    >>> import numpy as np
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from embedrec import Embeddings, Vocab, build_index, load_index, save_index
    >>> vectors = np.array([[1, 0], [0.8, 0.6], [0, 1]])
    >>> index = build_index(Embeddings(vectors, Vocab(["bread", "jam", "nail"])), "flat")
    >>> with TemporaryDirectory() as folder:
    ...     save_index(index, Path(folder) / "shop", {})
    ...     load_index(Path(folder) / "shop")
    Index(Flat, 3 vectors, 2 dimensions, cosine, recall@20 1)
    """
    artifact = artifacts.as_artifact(source, "index")
    with artifacts.opening(artifact, _REMEDY):
        about = msgspec.convert(artifact.about, _About)
        ids, vectors = artifact.path("vocab.parquet"), artifact.array("vectors", "float32")
        state = artifact.state("vectors.npy", "vocab.parquet")
        if artifact.known(_VECTORS_CHECK, *state):  # checking all vectors takes long
            embeddings = Embeddings.checked(vectors, lazy_vocab(ids), about.metric)
        else:
            embeddings = Embeddings(vectors, load_vocab(ids), about.metric)
            artifact.remember(_VECTORS_CHECK, state)
        rows = artifact.array("rows", "int64") if "rows.npy" in artifact else None
        labels = len(embeddings) if rows is None else len(rows)
        file, state = artifact.path("index.faiss"), artifact.state("index.faiss")
        if not artifact.known(_FILE_CHECK, *state):
            from embedrec.vectors.faiss_file_check import check_file

            check_file(file, labels)
            artifact.remember(_FILE_CHECK, state)
        faiss_index = map_index(file)
        dim = embeddings.dim + about.augmented
        if not len(embeddings) <= faiss_index.ntotal <= labels or faiss_index.d != dim:
            raise DataError(
                f"{file.name} contains {faiss_index.ntotal} × {faiss_index.d} vectors instead of "
                f"{len(embeddings)} × {dim}"
            )
        settings = SearchSettings(**{name: getattr(about, name) or None for name in KINDS})
        check_settings(settings, faiss_index, about.spec)
        if rows is not None:
            check_rows(rows, len(embeddings))
        return Index(
            embeddings, about.spec, faiss_index, about.augmented, settings, about.measurements, rows, about.max_norm
        )


def load_queries(artifact: artifacts.Artifact) -> np.ndarray | None:
    """The queries (q, d) that were saved with an index for later measurements; None without any."""
    return artifact.array("queries", "float32") if "queries.npy" in artifact else None


def load_item_features(artifact: artifacts.Artifact) -> Features | None:
    """The features of the items of an index; None if none were saved with it."""
    if _FEATURES not in artifact:
        return None
    from embedrec.data.feature_parquet import load_features

    with artifacts.opening(artifact, _REMEDY):
        return load_features(artifact.path(_FEATURES))


class _About(msgspec.Struct, rename={"measurements": "facts", "max_norm": "longest"}):
    """The manifest of an index."""

    spec: str
    metric: Metric
    augmented: bool
    measurements: dict[str, Any]
    nprobe: int
    ef_search: int = 0
    rerank: int = 0
    max_norm: float = 0.0


def check_rows(rows: np.ndarray, n: int) -> None:
    """Raises DataError unless the rows of FAISS labels are each of n rows once, and −1 for removed vectors."""
    valid = rows[rows >= 0] if rows.ndim == 1 else rows[:0]
    if rows.ndim != 1 or rows.min(initial=0) < -1 or len(valid) != n or not np.isin(np.arange(n), valid).all():
        raise DataError(f"the rows of its labels are not a permutation of {n} rows")
