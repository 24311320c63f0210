"""Indexes on disk; `indexes/README.md` documents the format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import faiss

from embedrec import artifacts
from embedrec.data.vocab_files import load_vocab, save_vocab
from embedrec.embeddings import Embeddings
from embedrec.errors import ArtifactError, EmbedrecError
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
        faiss.write_index(index.faiss, str(draft.path("index.faiss")))


def load_index(artifact: artifacts.Artifact) -> Index:
    """The index of an artifact. FAISS sees the file only after its checksum was found right.

    Raises ArtifactError when its parts do not fit together.
    """
    about = artifact.about
    try:
        vocab = load_vocab(artifact.path("vocab.parquet"))
        embeddings = Embeddings(artifact.array("vectors"), vocab, about["metric"])
        stored = faiss.read_index(str(artifact.path("index.faiss")))
        index = Index(embeddings, about["spec"], stored, about["augmented"], about["nprobe"], about["facts"])
    except ArtifactError:
        raise
    except (EmbedrecError, KeyError, RuntimeError) as e:
        raise ArtifactError(f"{artifact.folder} cannot be opened ({e}); build the index again") from e
    if stored.ntotal != len(index) or stored.d != index.dim + index.augmented:
        raise ArtifactError(
            f"{artifact.folder} holds {stored.ntotal} × {stored.d} vectors for a vocabulary of {len(index)} items "
            f"in {index.dim} dimensions; build the index again"
        )
    return index
