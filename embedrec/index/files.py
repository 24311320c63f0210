"""Indexes on disk; `indexes/README.md` documents the format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import faiss
import msgspec

from embedrec import artifacts
from embedrec.data.vocab_files import load_vocab, save_vocab
from embedrec.embeddings import Embeddings, Metric
from embedrec.errors import DataError
from embedrec.index.index import Index


def save_index(index: Index, folder: Path, about: Mapping[str, Any]) -> None:
    """Write the artifact `folder`, kind "index"; `about` is provenance."""
    said = {
        "spec": index.spec,
        "metric": index.metric,
        "items": len(index),
        "dim": index.dim,
        "augmented": index.augmented,
        "nprobe": index.nprobe,
        "facts": dict(index.facts),
    }
    with artifacts.writing(folder, "index", {**said, **about}) as draft:
        save_vocab(index.vocab, draft.path("vocab.parquet"))
        draft.array("vectors", index.embeddings.vectors)
        with draft.path("index.faiss").open("wb") as f:  # FAISS itself would not notice a full disk when it closes
            faiss.write_index(index.faiss, faiss.PyCallbackIOWriter(f.write))  # type: ignore[attr-defined]


def load_index(artifact: artifacts.Artifact) -> Index:
    """The index of an artifact. FAISS sees the file only after its checksum was found right.

    Raises ArtifactError when its parts do not fit together.
    """
    with artifacts.opening(artifact, "build the index again"):
        about = msgspec.convert(artifact.about, _About)
        vocab = load_vocab(artifact.path("vocab.parquet"))
        embeddings = Embeddings(artifact.array("vectors", "float32"), vocab, about.metric)
        stored = faiss.read_index(str(artifact.path("index.faiss")))
        if stored.ntotal != len(vocab) or stored.d != embeddings.dim + about.augmented:
            raise DataError(
                f"it holds {stored.ntotal} × {stored.d} vectors for {len(vocab)} items in {embeddings.dim} dimensions"
            )
        return Index(embeddings, about.spec, stored, about.augmented, about.nprobe, about.facts)


class _About(msgspec.Struct):
    """What must stand in the manifest of an index."""

    spec: str
    metric: Metric
    augmented: bool
    nprobe: int
    facts: dict[str, Any]
