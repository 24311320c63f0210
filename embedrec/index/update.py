"""Add, replace and remove items of an index. Each function returns a new Index; the old one does not change.

Vectors are added to, and removed from, a copy of the FAISS index without training. Its labels are no longer rows then,
see `Index.rows`. Types that cannot remove vectors, such as graphs, keep them as tombstones, which searches skip, until
the index is compacted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import faiss
import numpy as np

from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, SettingsError, UnknownItemError, reason
from embedrec.index.construct import construct_index, largest_norm, stored_vectors
from embedrec.index.index import Index
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.faiss_factory import ADD_BLOCK
from embedrec.vectors.faiss_file_check import check_changeable
from embedrec.vectors.faiss_structure import below_transforms, innermost

_LISTED_IDS = 3  # in a message


def add(index: Index, more: Embeddings) -> Index:
    """The index with more items, in rows after the existing ones.

    Raises DataError for ids that exist already or are of another type, SettingsError for another dimension.
    """
    _check(index, more)
    existing = index.vocab.rows(more.vocab.ids)
    existing = existing[existing >= 0]
    if len(existing):
        raise DataError(f"{_describe_ids(index.vocab.ids[existing])} are in the index already; replace them instead")
    n, m = len(index), len(more)
    embeddings = dataclasses.replace(
        index.embeddings,
        vectors=np.concatenate([index.embeddings.vectors, more.vectors]),
        vocab=_concatenate_vocabs(index.vocab, more.vocab),
    )
    return _apply(index, embeddings, np.arange(n), np.arange(n, n + m))


def replace(index: Index, others: Embeddings) -> Index:
    """The index with other vectors for some of its items, in the same rows.

    Raises UnknownItemError for unknown ids, SettingsError for another dimension.
    """
    _check(index, others)
    rows = _rows(index.vocab, others.vocab.ids)
    vectors = np.array(index.embeddings.vectors)
    vectors[rows] = others.vectors
    new_rows = np.arange(len(index))
    new_rows[rows] = -1
    return _apply(index, dataclasses.replace(index.embeddings, vectors=vectors), new_rows, rows)


def remove(index: Index, ids: Iterable[Any]) -> Index:
    """The index without some of its items; later rows move up.

    Raises UnknownItemError for unknown ids, SettingsError if no item remains.
    """
    remaining = np.ones(len(index), dtype=bool)
    remaining[_rows(index.vocab, list(ids))] = False
    if not remaining.any():
        raise SettingsError(f"these are all {len(index)} items of the index; keep at least one")
    rows = np.flatnonzero(remaining)
    new_rows = np.where(remaining, np.cumsum(remaining) - 1, -1)
    embeddings = dataclasses.replace(
        index.embeddings, vectors=index.embeddings.vectors[rows], vocab=index.vocab.take(rows)
    )
    return _apply(index, embeddings, new_rows, np.zeros(0, dtype=np.int64))


def compact(index: Index, *, seed: int = 0) -> Index:
    """A new index of the same items, with the same factory string and search settings.

    Raises SettingsError if too few vectors remain for it.
    """
    built = construct_index(index.embeddings, index.spec, seed=seed)
    return dataclasses.replace(built, settings=index.settings, measurements=_lasting_measurements(index))


def tombstones(index: Index) -> int:
    """The number of vectors in FAISS that belong to removed items."""
    return int(index.faiss.ntotal) - len(index)


def _apply(index: Index, embeddings: Embeddings, new_rows: np.ndarray, added: np.ndarray) -> Index:
    """The index changed to other embeddings.

    new_rows  (n,) the new row of each old row, −1 for removed vectors
    added     (m,) rows whose vectors FAISS does not have yet
    """
    max_norm = index.max_norm
    if index.augmented:
        max_norm = max_norm or largest_norm(index.embeddings.vectors)
        if largest_norm(embeddings.vectors[added]) > max_norm:  # all vectors need another scale
            return compact(dataclasses.replace(index, embeddings=embeddings))
    content = faiss.serialize_index(index.faiss)
    check_changeable(content, len(index) if index.rows is None else len(index.rows))
    changed: Any = faiss.deserialize_index(content)
    rows = np.arange(len(index)) if index.rows is None else index.rows
    rows = np.where(rows < 0, -1, new_rows[rows])
    removed = np.flatnonzero(rows < 0) if index.rows is None else np.flatnonzero((rows < 0) & (index.rows >= 0))
    vectors = stored_vectors(embeddings, index.augmented, max_norm)
    try:
        if len(removed) and supports_removal(changed):
            changed.remove_ids(removed)
            if not has_stable_labels(changed):
                rows = np.delete(rows, removed)
        for start in range(0, len(added), ADD_BLOCK):
            block = added[start : start + ADD_BLOCK]
            if has_stable_labels(changed):
                changed.add_with_ids(vectors(block), len(rows) + np.arange(len(block)))
            else:
                changed.add(vectors(block))
            rows = np.concatenate([rows, block])
    except (RuntimeError, MemoryError) as e:
        raise SettingsError(
            f"FAISS cannot change an index of type {index.spec} ({reason(e).rpartition(': ')[2]}); build it again, or "
            "use a type that supports changes, such as ivf or hnsw"
        ) from e
    are_labels = len(rows) == len(embeddings) and (rows == np.arange(len(rows))).all()
    return dataclasses.replace(
        index,
        embeddings=embeddings,
        faiss=changed,
        measurements=_lasting_measurements(index),
        rows=None if are_labels else rows,
        max_norm=max_norm,
        file=None,
    )


def has_stable_labels(index: Any) -> bool:
    """Whether labels stay the same when other vectors are removed: in cells, not where labels are positions."""
    return isinstance(innermost(index), faiss.IndexIVF) and not _refined(index)


def supports_removal(index: Any) -> bool:
    """Whether FAISS can remove vectors from an index of this type."""
    return isinstance(innermost(index), faiss.IndexIVF | faiss.IndexFlatCodes) and not _refined(index)


def _refined(index: Any) -> bool:
    """Whether vectors are stored twice, in positions that must agree."""
    return isinstance(below_transforms(index), faiss.IndexRefine)


def _lasting_measurements(index: Index) -> dict[str, Any]:
    """The measurements that hold for a changed index: only its target."""
    return {name: value for name, value in index.measurements.items() if name == "promise"}


def _check(index: Index, others: Embeddings) -> None:
    """Raises SettingsError for vectors of another dimension, DataError for ids of another type."""
    if others.dim != index.dim:
        raise SettingsError(f"the index has {index.dim} dimensions, but these vectors have {others.dim}")
    if others.vocab.integer != index.vocab.integer:
        kinds = ("strings", "integers")
        raise DataError(
            f"ids of the index are {kinds[index.vocab.integer]}, but those of these vectors are "
            f"{kinds[others.vocab.integer]}; convert them"
        )


def _rows(vocab: Vocab, ids: Any) -> np.ndarray:
    rows = vocab.rows_of(ids)
    if (rows < 0).any():
        unknown = [i for i, row in zip(ids, rows, strict=True) if row < 0]
        raise UnknownItemError(f"{_describe_ids(unknown)} are not in the index; leave them out")
    return rows


def _describe_ids(ids: Any) -> str:
    """ "3 ids ('a', 'b', 'c')" """
    listed = ", ".join(repr(i) for i in list(ids)[:_LISTED_IDS]) + (" …" if len(ids) > _LISTED_IDS else "")
    return f"{len(ids)} ids ({listed})"


def _concatenate_vocabs(first: Vocab, second: Vocab) -> Vocab:
    """Both vocabularies in order; names and counts that only one has are empty and 0 for the other."""
    columns: dict[str, np.ndarray | None] = {}
    for name, empty in (("names", ""), ("counts", 0)):
        parts = [getattr(first, name), getattr(second, name)]
        if parts[0] is None and parts[1] is None:
            columns[name] = None
            continue
        filled = [
            np.full(len(vocab), empty, dtype=object) if part is None else part
            for vocab, part in zip((first, second), parts, strict=True)
        ]
        columns[name] = np.concatenate(filled)
    return Vocab(np.concatenate([first.ids, second.ids]), columns["names"], columns["counts"])
