"""FAISS generates the candidates of a session kNN when there are too many sessions to scan.

Sessions become vectors whose cosine is about that of their sets of items (a random projection, see `random_rows`); a
FAISS index of them, 8 bits a coordinate, returns those near a history, and the session kNN compares and scores them
exactly. The loss of recall is measured when the index is built, see `ann_recall`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.errors import DataError
from embedrec.models.session_encoders import Weights, weighted_encoder
from embedrec.models.session_knn.projection import random_rows, signs
from embedrec.progress import Report, quiet
from embedrec.vectors.exact_search import unit
from embedrec.vectors.faiss_file_check import UnknownTypeError, parse_content

_ARRAYS = ("projection", "faiss", "nprobe")
_ONCE = Weights(plays="once")
FLAT_BELOW = 20_000  # fewer sessions are searched without cells


@dataclass(frozen=True, eq=False)
class SessionAnn:
    """An index of the vectors of S sessions.

    rows    (n, d) float32: the contribution of an item to the vector of its session
    faiss   the FAISS index; row s is session s
    nprobe  cells that a search visits; 0 without cells
    """

    rows: np.ndarray
    faiss: Any
    nprobe: int

    @property
    def cells(self) -> int:
        """The number of cells; 0 for a flat index."""
        return int(getattr(self.faiss, "nlist", 0))

    @classmethod
    def of(cls, sessions: Sessions, dim: int, *, seed: int, report: Report = quiet) -> SessionAnn:
        """Build the index of sessions; a search visits one cell."""
        import faiss

        from embedrec.vectors.faiss_factory import create_index, fill, train

        rows, size = random_rows(sessions, dim, seed), len(sessions)
        spec = "Flat" if size < FLAT_BELOW else f"IVF{2 * isqrt(size)},SQ8"
        index = create_index(spec, dim, "cosine")
        vectors = _vectors(rows, sessions)
        train(index, spec, size, vectors, seed=seed)
        fill(index, spec, size, vectors, report)
        return cls(rows, index, int(isinstance(index, faiss.IndexIVF)))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], n: int, size: int) -> SessionAnn:
        """The index of its arrays, for n items and `size` sessions. Raises DataError when they do not fit."""
        import faiss

        projection, stored, probes = (arrays[name] for name in _ARRAYS)
        if (
            projection.ndim != 2
            or len(projection) != n
            or projection.dtype != np.float32
            or not np.isfinite(projection).all()
        ):
            raise DataError(
                f"a projection of {n} items must be finite float32 ({n}, d), not {projection.dtype} {projection.shape}"
            )
        if (
            stored.dtype != np.uint8
            or stored.ndim != 1
            or probes.shape != (1,)
            or probes.dtype != np.int64
            or probes[0] < 0
        ):
            raise DataError("an index of sessions needs its bytes and nprobe")
        stored = np.array(stored)
        try:
            parse_content(stored, size, "faiss.npy")
        except UnknownTypeError as e:
            raise DataError(f"an index of sessions cannot be of the type {e}") from e
        index = faiss.deserialize_index(stored)
        if index.d != projection.shape[1] or index.ntotal != size:
            raise DataError(
                f"an index of {size} sessions needs {size} × {projection.shape[1]} vectors, but has "
                f"{index.ntotal} × {index.d}"
            )
        return cls(projection, index, int(probes[0]))

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays of `from_arrays`: "projection" (n, d) float32, "faiss" (bytes,) uint8, "nprobe" (1,) int64."""
        import faiss

        stored = faiss.serialize_index(self.faiss)
        return dict(zip(_ARRAYS, (self.rows, stored, np.array([self.nprobe])), strict=True))

    def refill(self, sessions: Sessions, *, seed: int) -> SessionAnn:
        """The same cells filled with other sessions, whose vocabulary begins with the same items.

        New items get random signs only.
        """
        import faiss

        from embedrec.vectors.faiss_factory import fill

        old, dim = self.rows.shape
        new = np.zeros((len(sessions.vocab) - old, dim), dtype=np.float32)
        new[:, : dim - dim // 2] = unit(signs(len(new), dim - dim // 2, seed))
        rows = np.concatenate([self.rows, new])
        index = faiss.clone_index(self.faiss)
        index.reset()
        fill(index, "the index", len(sessions), _vectors(rows, sessions))
        return SessionAnn(rows, index, self.nprobe)

    def search(self, histories: Sessions, count: int) -> np.ndarray:
        """The sessions whose vectors are nearest to those of histories: (q, count) int32, −1 for missing."""
        import faiss

        queries = unit(weighted_encoder(self.rows, _ONCE)(histories))
        parameters = faiss.SearchParametersIVF(nprobe=self.nprobe) if self.nprobe else None  # type: ignore[call-arg]
        _, rows = self.faiss.search(queries, count, params=parameters)
        return rows.astype(np.int32)


def _vectors(rows: np.ndarray, sessions: Sessions) -> Callable[[Any], np.ndarray]:
    """Rows of sessions (m,), or a slice → their unit vectors (m, d) float32. Each item counts once."""
    encode, numbers = weighted_encoder(rows, _ONCE), np.arange(len(sessions))
    return lambda chunk: unit(encode(sessions.take(numbers[chunk])))
