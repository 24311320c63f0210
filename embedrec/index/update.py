"""An index after items came, went, or got other vectors: a new Index each time, the old one stays as it is.

A copy of the FAISS index gets what is new and loses what is gone; nothing is trained again. Its labels are no longer
rows then, see `Index.rows`. Types that cannot remove, as graphs, keep what is gone as tombstones, which searches pass
over, until the index is compacted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import faiss
import numpy as np

from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, SettingsError, UnknownItemError, reason
from embedrec.index.construct import construct_index, largest_norm, stored
from embedrec.index.index import Index
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.faiss_file_check import check_changeable
from embedrec.vectors.faiss_structure import innermost

_ADD = 1 << 16  # vectors added at a time
_SHOWN = 3  # ids that a message names


def add(index: Index, more: Embeddings) -> Index:
    """The index with more items, in the rows after those it has.

    Raises DataError for ids that it has already or of another type, SettingsError for another dimension.
    """
    _check(index, more)
    twins = index.vocab.rows(more.vocab.ids)
    if (twins >= 0).any():
        raise DataError(
            f"{_describe_ids(index.vocab.ids[twins[twins >= 0]])} are in the index already; replace them instead"
        )
    n, m = len(index), len(more)
    embeddings = dataclasses.replace(
        index.embeddings,
        vectors=np.concatenate([index.embeddings.vectors, more.vectors]),
        vocab=_concatenate_vocabs(index.vocab, more.vocab),
    )
    return _apply(index, embeddings, np.arange(n), np.arange(n, n + m))


def replace(index: Index, others: Embeddings) -> Index:
    """The index with other vectors for some of its items, in the rows they had.

    Raises UnknownItemError for ids that it does not have, SettingsError for another dimension.
    """
    _check(index, others)
    rows = _rows(index.vocab, others.vocab.ids)
    vectors = np.array(index.embeddings.vectors)
    vectors[rows] = others.vectors
    kept = np.arange(len(index))
    kept[rows] = -1
    return _apply(index, dataclasses.replace(index.embeddings, vectors=vectors), kept, rows)


def remove(index: Index, ids: Iterable[Any]) -> Index:
    """The index without some of its items; those after them move up.

    Raises UnknownItemError for ids that it does not have, SettingsError when none is left.
    """
    left = np.ones(len(index), dtype=bool)
    left[_rows(index.vocab, list(ids))] = False
    if not left.any():
        raise SettingsError(f"without these {len(index)} items nothing would be left in the index; keep one")
    rows = np.flatnonzero(left)
    kept = np.where(left, np.cumsum(left) - 1, -1)
    embeddings = dataclasses.replace(
        index.embeddings, vectors=index.embeddings.vectors[rows], vocab=index.vocab.take(rows)
    )
    return _apply(index, embeddings, kept, np.zeros(0, dtype=np.int64))


def compact(index: Index, *, seed: int = 0) -> Index:
    """The same items in an index that is built anew, with the same factory string and settings of searches.

    Raises SettingsError when there are too few vectors left for it.
    """
    built = construct_index(index.embeddings, index.spec, seed=seed)
    return dataclasses.replace(built, settings=index.settings, measurements=_lasting_measurements(index))


def tombstones(index: Index) -> int:
    """Vectors in FAISS that stand for no item."""
    return int(index.faiss.ntotal) - len(index)


def _apply(index: Index, embeddings: Embeddings, kept: np.ndarray, new: np.ndarray) -> Index:
    """The index of other embeddings.

    kept  (n,) the row that each row has now, −1 for vectors that are gone
    new   (m,) rows whose vectors FAISS does not have
    """
    longest = index.longest
    if index.augmented:
        longest = longest or largest_norm(index.embeddings.vectors)
        if largest_norm(embeddings.vectors[new]) > longest:  # all are to be scaled otherwise
            return compact(dataclasses.replace(index, embeddings=embeddings))
    content = faiss.serialize_index(index.faiss)
    check_changeable(content, len(index) if index.rows is None else len(index.rows))
    changed: Any = faiss.deserialize_index(content)
    rows = np.arange(len(index)) if index.rows is None else index.rows
    rows = np.where(rows < 0, -1, kept[rows])
    gone = np.flatnonzero(rows < 0) if index.rows is None else np.flatnonzero((rows < 0) & (index.rows >= 0))
    vectors = stored(embeddings, index.augmented, longest)
    try:
        if len(gone) and removes(changed):
            changed.remove_ids(gone)
            if not keeps_labels(changed):
                rows = np.delete(rows, gone)
        for start in range(0, len(new), _ADD):
            block = new[start : start + _ADD]
            if keeps_labels(changed):
                changed.add_with_ids(vectors(block), len(rows) + np.arange(len(block)))
            else:
                changed.add(vectors(block))
            rows = np.concatenate([rows, block])
    except (RuntimeError, MemoryError) as e:
        raise SettingsError(
            f"FAISS cannot change an index of type {index.spec} ({reason(e).rpartition(': ')[2]}); build it again with "
            "what it is to hold, or take a type that can be changed, such as ivf or hnsw"
        ) from e
    same = len(rows) == len(embeddings) and (rows == np.arange(len(rows))).all()
    return dataclasses.replace(
        index,
        embeddings=embeddings,
        faiss=changed,
        measurements=_lasting_measurements(index),
        rows=None if same else rows,
        longest=longest,
        file=None,
    )


def keeps_labels(index: Any) -> bool:
    """Whether vectors keep their labels when others go: in cells, not where labels are places."""
    return isinstance(innermost(index), faiss.IndexIVF) and not _refined(index)


def removes(index: Any) -> bool:
    """Whether FAISS can remove vectors from an index of this type."""
    return isinstance(innermost(index), faiss.IndexIVF | faiss.IndexFlatCodes) and not _refined(index)


def _refined(index: Any) -> bool:
    """Whether vectors are kept twice, in places that must agree."""
    while isinstance(index, faiss.IndexPreTransform):
        index = faiss.downcast_index(index.index)
    return isinstance(index, faiss.IndexRefine)


def _lasting_measurements(index: Index) -> dict[str, Any]:
    """What is still true of a changed index: what it promised. The rest was measured before."""
    return {name: value for name, value in index.measurements.items() if name == "promise"}


def _check(index: Index, others: Embeddings) -> None:
    """Raises SettingsError for vectors of another dimension, DataError for ids of another type."""
    if others.dim != index.dim:
        raise SettingsError(f"the index has {index.dim} dimensions, but these vectors have {others.dim}")
    if others.vocab.integer != index.vocab.integer:
        kinds = ("texts", "whole numbers")
        raise DataError(
            f"ids of the index are {kinds[index.vocab.integer]}, but those of these vectors are "
            f"{kinds[others.vocab.integer]}"
        )


def _rows(vocab: Vocab, ids: Any) -> np.ndarray:
    rows = vocab.rows_of(ids)
    if (rows < 0).any():
        unknown = [i for i, row in zip(ids, rows, strict=True) if row < 0]
        raise UnknownItemError(f"{_describe_ids(unknown)} are not in the index; leave them out")
    return rows


def _describe_ids(ids: Any) -> str:
    """ "3 ids ('a', 'b', 'c')" """
    shown = ", ".join(repr(i) for i in list(ids)[:_SHOWN]) + (" …" if len(ids) > _SHOWN else "")
    return f"{len(ids)} ids ({shown})"


def _concatenate_vocabs(first: Vocab, then: Vocab) -> Vocab:
    """Both vocabularies, one after the other; names and counts that only one has are empty and 0 for the other."""
    columns: dict[str, np.ndarray | None] = {}
    for name, empty in (("names", ""), ("counts", 0)):
        parts = [getattr(first, name), getattr(then, name)]
        if parts[0] is None and parts[1] is None:
            columns[name] = None
            continue
        filled_in = [
            np.full(len(vocab), empty, dtype=object) if part is None else part
            for vocab, part in zip((first, then), parts, strict=True)
        ]
        columns[name] = np.concatenate(filled_in)
    return Vocab(np.concatenate([first.ids, then.ids]), columns["names"], columns["counts"])
