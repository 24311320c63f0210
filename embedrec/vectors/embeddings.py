"""Embeddings: a matrix, a vocabulary and a metric; and exact search in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from embedrec.config import check_choices
from embedrec.data.topk import TopK, allowed_rows
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.text import FIRST_ROWS, Described, Summary, counted
from embedrec.vectors.exact_search import METRICS, Frame, Metric, check_queries, exact_search, frame_of, usable

__all__ = ["Embeddings", "Metric"]


_SHOWN = 5  # coordinates of a vector in HTML


@dataclass(frozen=True, eq=False, repr=False)
class Embeddings(Described):
    """n vectors of d dimensions; row r belongs to `vocab.ids[r]`.

    vectors  (n, d) float32, finite, of norms up to 2e18
    vocab    the ids of the rows
    metric   "cosine", "dot" (inner product) or "l2" (score = −squared distance): higher is nearer
    about    the origin of the vectors

    Raises DataError for a wrong shape, and for NaN or infinite vectors (naming the first).

    >>> import numpy as np
    >>> from embedrec import Embeddings, Vocab
    >>> embeddings = Embeddings(np.array([[1, 0], [0.8, 0.6], [0, 1]]), Vocab(["bread", "jam", "nail"]))
    >>> embeddings
    Embeddings(3 vectors, 2 dimensions, cosine)
    """

    vectors: np.ndarray
    vocab: Vocab
    metric: Metric = "cosine"
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        with np.errstate(over="ignore"):
            vectors = np.ascontiguousarray(self.vectors, dtype=np.float32)
        object.__setattr__(self, "vectors", vectors)
        check_choices(self, {"metric": METRICS})
        if vectors.ndim != 2 or len(vectors) != len(self.vocab) or not vectors.shape[1]:
            raise DataError(
                f"vectors must have shape ({len(self.vocab)}, d) for a vocabulary of {len(self.vocab)}, "
                f"but have {vectors.shape}"
            )
        valid = usable(vectors)
        if not valid.all():
            first = int(np.argmin(valid))
            problem = "contain NaN or infinity" if not np.isfinite(vectors[first]).all() else "have a norm above 2e18"
            raise DataError(
                f"{int((~valid).sum())} of {len(vectors)} vectors {problem}, the first is that of "
                f"{self.vocab.ids[first]!r}; remove or repair them"
            )

    @classmethod
    def checked(cls, vectors: np.ndarray, vocab: Vocab, metric: Metric) -> Embeddings:
        """Embeddings of vectors (n, d) that were checked before: float32, usable, as many as the ids."""
        embeddings = object.__new__(cls)
        for name, value in (("vectors", vectors), ("vocab", vocab), ("metric", metric), ("about", {})):
            object.__setattr__(embeddings, name, value)
        return embeddings

    def __len__(self) -> int:
        return len(self.vectors)

    def _summary(self) -> Summary:
        few = np.arange(min(len(self), FIRST_ROWS))
        starts = [", ".join(f"{x:.3g}" for x in v[:_SHOWN]) + ", …" * (self.dim > _SHOWN) for v in self.vectors[few]]
        first = {"id": self.vocab.ids[few].tolist()}
        if self.vocab.names is not None:
            first["name"] = self.vocab.names[few].tolist()
        facts = [*counted(vectors=len(self), dimensions=self.dim), self.metric]
        return Summary(facts, {**first, "vector": starts}, len(self) - len(few))

    @property
    def dim(self) -> int:
        """The number d of dimensions."""
        return int(self.vectors.shape[1])

    def search(self, queries: np.ndarray, k: int, *, allowed: np.ndarray | None = None) -> TopK:
        """The exact k nearest items of each query.

        queries  (q, d) float32
        allowed  items that may be found: (n,) bool or rows (m,); None for all

        Returns TopK (q, k), missing results −1 / −inf. Raises SettingsError if k is not in 1 … n, dimensions differ,
        or an allowed row does not exist.

        >>> import numpy as np
        >>> from embedrec import Embeddings, Vocab
        >>> embeddings = Embeddings(np.array([[1, 0], [0.8, 0.6], [0, 1]]), Vocab(["bread", "jam", "nail"]))
        >>> embeddings.search(np.array([[0, 2]]), 2).ids()
        [['nail', 'jam']]
        """
        queries = check_queries(queries, self.dim, k, len(self))
        rows = None if allowed is None else allowed_rows(allowed, len(self))
        frame = self.frame if rows is None else None
        return exact_search(self.vectors, queries, k, self.metric, self.vocab, rows, frame)

    def to_frame(self) -> Any:
        """A pandas.DataFrame (n, d) of the vectors: the index "id" has the ids, the columns are 0 … d − 1.

        `frame.loc["bread"]` is a vector, `frame.to_numpy()` the matrix, a copy. Raises SettingsError, with the command
        that installs it, if pandas is missing.

        >>> from embedrec import Vocab
        >>> Embeddings([[1, 0], [0, 1]], Vocab(["bread", "jam"])).to_frame().loc["jam"].tolist()
        [0.0, 1.0]
        """
        from embedrec.errors import need_package

        need_package("pandas", "to_frame()")
        import pandas as pd

        return pd.DataFrame(self.vectors, index=pd.Index(self.vocab.ids, name="id"), copy=True)

    def to_arrow(self) -> Any:
        """A pyarrow.Table with a row a vector: id, name and count if the vocabulary has them, vector.

        The vectors are a fixed-size list of d float32, which Polars reads as an Array and DuckDB as FLOAT[d], without a
        copy.

        >>> from embedrec import Vocab
        >>> Embeddings([[1, 0], [0, 1]], Vocab(["bread", "jam"])).to_arrow().to_pylist()[1]
        {'id': 'jam', 'vector': [0.0, 1.0]}
        """
        import pyarrow as pa

        from embedrec.data.arrow_tables import vocab_columns

        vectors = pa.FixedSizeListArray.from_arrays(pa.array(self.vectors.ravel()), self.dim)
        return pa.table({**vocab_columns(self.vocab), "vector": vectors})

    @cached_property
    def frame(self) -> Frame:
        """The shift and scale of float32 comparisons, computed at the first search."""
        return frame_of(self.vectors, self.metric)
