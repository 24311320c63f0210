"""Labels of items from a separate table: genres by artist, categories by product."""

from __future__ import annotations

import numpy as np

from embedrec.data.features import Features, Lists
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.storage.remote import ReadPath
from embedrec.tabular.bad_rows import BadRows
from embedrec.tabular.feature_tables import SideTable
from embedrec.tabular.formats import JsonLines
from embedrec.tabular.guess_columns import SUFFIXES, format_columns, format_of
from embedrec.tabular.source_files import expand


def read_labels(path: ReadPath, vocab: Vocab) -> Lists:
    """The lists of labels (n rows) that a table of two columns, item and labels, gives n items.

    The first column holds ids or display names, whichever match more items; the other holds lists (of Parquet and JSON
    lines, or texts split at "|"). The first row of a duplicate name counts. Raises DataError for another layout, and if
    no item matches.
    """
    source = expand([str(path)], tuple(SUFFIXES))[0]
    form = format_of(source)
    sources = [(source, JsonLines(lists=True) if isinstance(form, JsonLines) else form)]
    columns = sources[0][1].columns(source)
    if len(columns) != 2:
        raise DataError(f"{path} must have two columns, of items and of labels, but has {format_columns(columns)}")
    table = SideTable(sources, columns[0], kinds={columns[1]: "list"})
    candidates = [_lists(table, vocab, np.arange(len(vocab)))]
    if vocab.names is not None:
        names, row = np.unique(vocab.names.astype(str), return_inverse=True)
        candidates.append(_lists(table, Vocab(names.astype(object)), row))
    best = max(candidates, key=lambda lists: int((np.diff(lists.offsets) > 0).sum()))
    if not len(best.codes):
        raise DataError(f"the column {columns[0]!r} of {path} contains no id and no name of an item; check the file")
    return best


def _lists(table: SideTable, vocab: Vocab, rows: np.ndarray) -> Lists:
    """The lists of the ids at these rows (n,) of a vocabulary."""
    bad_rows = BadRows("skip")
    features, _ = table.read(vocab, bad_rows)
    twice = f"{table.id} occurs twice"  # the first row counts
    other = next((problem for problem in bad_rows.counts if problem != twice), None)
    if other is not None:
        raise DataError(f"{bad_rows.examples[other][0]}: {other}; correct the file")
    (lists,) = features.align(vocab).lists.values()
    return lists.take(rows)


def tag_features(
    vocab: Vocab, rows: np.ndarray, tags: np.ndarray, names: np.ndarray, counts: np.ndarray, least: float
) -> Features:
    """The list feature "tags" of all items of a vocabulary, the most frequent tag of an item first, ties by name.

    rows    (L,) int64 rows of items
    tags    (L,) int64 positions in `names`, object array of distinct texts
    counts  (L,) number of uses of each tag; summed over duplicate pairs of item and tag
    least   minimum count of a tag of an item
    """
    order = np.argsort(names, kind="stable")
    rank = np.empty(len(names), dtype=np.int64)
    rank[order] = np.arange(len(names))
    pairs, which = np.unique(rows * len(names) + rank[tags], return_inverse=True)
    total = np.bincount(which, weights=counts, minlength=len(pairs))
    pairs, total = pairs[total >= least], total[total >= least]
    item, tag = np.divmod(pairs, max(len(names), 1))
    best = np.lexsort((tag, -total, item))
    used, codes = np.unique(tag[best], return_inverse=True)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(item, minlength=len(vocab)))])
    return Features(Vocab(vocab.ids), lists={"tags": Lists(offsets, codes, names[order][used])})
