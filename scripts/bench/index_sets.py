"""Vectors and queries to compare indexes on: generated ones, and those of models trained on real sessions.

Every set has queries for tuning and others to measure with, and their exact results. Queries of most sets are items,
whose nearest other items are searched; those of gru4rec are vectors of histories, which lie elsewhere than items.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
from generated import clustered

from embedrec import Embeddings, Workspace
from embedrec.data.sessions import Sessions
from embedrec.models.filtered_recommend import sample_query_vectors
from embedrec.models.serialization import load_vector_model
from embedrec.vectors.exact_search import unit
from embedrec.workflows.lineage import training_sessions

K, RUNS = 20, 3
_TUNING, _MEASURED = 4000, 10_000  # queries
_TOLERANCE = 1e-6  # relative: float32 does not distinguish such a score from that of the last exact result


@dataclass(frozen=True)
class Asked:
    """Queries (q, d) with the least score of their K exact results (q,).

    items  the vectors that are searched
    rows   (q,) of items that are the queries themselves, which do not count; −1 for other queries
    """

    items: np.ndarray
    queries: np.ndarray
    rows: np.ndarray
    least: np.ndarray

    @property
    def k(self) -> int:
        """Results to ask for: one more where the query itself is among them."""
        return K + 1 if (self.rows >= 0).all() else K

    def recall(self, rows: np.ndarray) -> float:
        """The share of exact results, or equally near ones, among results (q, k); distinct rows count once."""
        rows = np.sort(rows, axis=1)
        valid = (rows >= 0) & (rows < len(self.items)) & (rows != self.rows[:, None])
        valid[:, 1:] &= rows[:, 1:] != rows[:, :-1]
        scores = np.einsum("qd,qkd->qk", self.queries, self.items[np.where(valid, rows, 0)])
        reached = valid & (scores >= (self.least - _TOLERANCE * np.abs(self.least))[:, None])
        return float(np.minimum(reached.sum(axis=1), K).mean() / K)


@dataclass(frozen=True)
class VectorSet:
    """Vectors to search by the dot product.

    folder    of its files
    unit      whether all have norm 1
    of_items  whether the queries are items
    """

    folder: Path
    items: np.ndarray
    unit: bool
    of_items: bool
    tuning: Asked
    measured: Asked

    @property
    def kind(self) -> str:
        """What the queries are."""
        return "are items" if self.of_items else "are histories"

    @classmethod
    def make(cls, folder: Path, vectors: Embeddings, queries: Sequence[np.ndarray] = (), *, seed: int) -> VectorSet:
        """Write a set; without two arrays of queries, random items are the queries."""
        is_unit = vectors.metric == "cosine"
        items = np.ascontiguousarray(unit(vectors.vectors) if is_unit else vectors.vectors)
        folder.mkdir(parents=True)
        np.save(folder / "items.npy", items)
        (folder / "set.json").write_text(json.dumps({"unit": is_unit, "of_items": not queries}))
        drawn = np.random.default_rng(seed).permutation(len(items))
        flat = faiss.IndexFlatIP(items.shape[1])
        flat.add(items)
        for at, (name, count) in enumerate((("tuning", _TUNING), ("measured", _MEASURED))):
            if queries:
                given = np.ascontiguousarray(unit(queries[at]) if is_unit else queries[at])[:count]
                rows = np.full(len(given), -1)
                least = flat.search(given, K)[0][:, -1]
            else:
                rows = drawn[: min(count, len(items) // 2)] if at else drawn[::-1][: min(count, len(items) // 2)]
                given = items[rows]
                scores, found = flat.search(given, K + 1)
                scores[found == rows[:, None]] = -np.inf  # an item need not be among its own nearest by dot product
                least = -np.sort(-scores, axis=1)[:, K - 1]
            np.savez(folder / f"{name}.npz", queries=given, rows=rows, least=least)
        return cls.load(folder)

    @classmethod
    def load(cls, folder: Path) -> VectorSet:
        """Open a set."""
        about = json.loads((folder / "set.json").read_text())
        items = np.load(folder / "items.npy", mmap_mode="r")
        asked = [Asked(items, **np.load(folder / f"{name}.npz")) for name in ("tuning", "measured")]
        return cls(folder, items, about["unit"], about["of_items"], *asked)


def vector_sets(
    names: Sequence[str], folder: Path, data: Path, n: int, d: int, seed: int
) -> Iterator[tuple[str, VectorSet]]:
    """The sets of these names, made in `folder`; see `SETS`."""
    for name in names:
        place = folder / name
        if name == "clustered":
            yield name, VectorSet.make(place, clustered(n, d), seed=seed)
        elif name == "unclustered":
            vectors = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
            yield name, VectorSet.make(place, Embeddings(vectors, clustered(n, 1).vocab), seed=seed)
        else:
            embeddings, queries = _trained(*SETS[name], folder, data, d, seed)
            yield name, VectorSet.make(place, embeddings, queries, seed=seed)


# name → sessions, model, what is searched
SETS: dict[str, tuple[str, str, str]] = {
    "word2vec-nowplaying": ("nowplaying", "word2vec", "items"),
    "mf-nowplaying": ("nowplaying", "mf", "items"),
    "word2vec-mpd": ("mpd", "word2vec", "items"),
    "mf-mpd": ("mpd", "mf", "items"),
    "sessions-nowplaying": ("nowplaying", "word2vec", "sessions"),
    "gru4rec-nowplaying": ("nowplaying", "gru4rec", "answers"),
    "gru4rec-diginetica": ("diginetica", "gru4rec", "answers"),
}
_SETTINGS = {"word2vec": ["min_count=1"], "gru4rec": ["epochs=3"]}


def _trained(
    sessions: str, model: str, of: str, folder: Path, data: Path, d: int, seed: int
) -> tuple[Embeddings, Sequence[np.ndarray]]:
    """Vectors of a model with its defaults but d dimensions, and queries where these are histories."""
    workspace = folder / f"workspace-{sessions}"
    if not (workspace / "sessions").exists():
        paths = (
            ["mpd", data / "mpd" / "train", "--level", "track"]
            if sessions == "mpd"
            else ["sessions", data / sessions / "train_sessions.parquet"]
        )
        run_command(workspace, "prepare", *paths)
    if not (workspace / "models" / model).exists():
        size = "layers" if model == "gru4rec" else "dim"
        pairs = [f"{size}={d}", *_SETTINGS.get(model, [])]
        run_command(workspace, "train", model, *(word for pair in pairs for word in ("--set", pair)))
    artifact = Workspace(workspace).find("model", model)
    trained = load_vector_model(artifact)
    if of == "items":
        return trained.embeddings, ()
    loaded = Sessions.load(training_sessions(Workspace(workspace), artifact))
    if of == "sessions":
        return trained.encode(loaded), ()
    drawn = [sample_query_vectors(trained, loaded, count, seed=seed + count) for count in (_TUNING, _MEASURED)]
    return trained.answers, drawn


def run_command(workspace: Path, *arguments: object) -> None:
    """Run a command of embedrec in a workspace, quietly."""
    command = [sys.executable, "-m", "embedrec", *map(str, arguments), "--workspace", str(workspace)]
    subprocess.run(command, check=True, capture_output=True)
