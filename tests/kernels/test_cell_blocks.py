"""Blocks of rows and parts of columns against a dense matrix."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from embedrec.kernels.cell_blocks import add_columns, count_parts, group_by_part, sum_rows, transpose_block

N = 7  # columns
PARTS = np.array([0, 0, 1, 1, 1, 3, 3], dtype=np.int32)  # part 2 has no columns
rows_of_cells = st.lists(st.sets(st.integers(0, N - 1)).map(sorted), max_size=12)


def matrix_of(rows: list[list[int]]) -> sp.csr_matrix:
    """Cells whose weights are 1, 2, 3 … in order."""
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows], dtype=np.int64)])
    columns = np.array([column for row in rows for column in row], dtype=np.int32)
    return sp.csr_matrix((np.arange(1, len(columns) + 1, dtype=np.float32), columns, offsets), (len(rows), N))


def test_sums_of_rows_are_exact() -> None:
    """float32 sums of ones end at 2 ** 24."""
    weights = np.array([1, 2**24, 1, 1], dtype=np.float32)
    assert sum_rows(np.array([0, 1, 1, 4]), weights).tolist() == [1, 0, 2**24 + 2]


@given(rows_of_cells)
def test_parts_have_their_rows_and_cells_in_order(rows: list[list[int]]) -> None:
    m = matrix_of(rows)
    offsets, columns = m.indptr.astype(np.int64), m.indices.astype(np.int32)
    cells, sizes = count_parts(offsets, columns, PARTS, 4)
    sent = np.empty(sizes[-1], dtype=np.int32)
    column, place, weight = (np.empty(m.nnz, t) for t in (np.int32, np.int32, np.float32))
    group_by_part(offsets, columns, m.data, PARTS, cells, sizes, sent, column, place, weight)
    for part in range(4):
        theirs = [(r, c) for r, row in enumerate(rows) for c in row if PARTS[c] == part]
        present = list(dict.fromkeys(r for r, _ in theirs))
        inside = slice(cells[part], cells[part + 1])
        assert sent[sizes[part] : sizes[part + 1]].tolist() == present
        assert column[inside].tolist() == [c for _, c in theirs]
        assert [present[p] for p in place[inside].tolist()] == [r for r, _ in theirs]
        assert weight[inside].tolist() == [m[r, c] for r, c in theirs]


@given(rows_of_cells, rows_of_cells)
def test_blocks_are_transposed_as_the_whole_matrix(above: list[list[int]], below: list[list[int]]) -> None:
    first, last = 2, 5
    whole = matrix_of([*above, *below]).T.tocsr()[first:last]
    rows, weights = np.empty(whole.nnz, dtype=np.int32), np.empty(whole.nnz, dtype=np.float32)
    free = whole.indptr[:-1].astype(np.int64)
    counts, sums = np.zeros(last - first, dtype=np.int64), np.zeros(last - first)
    entries = matrix_of([*above, *below]).tocoo()
    for base, stop in ((0, len(above)), (len(above), len(above) + len(below))):
        chosen = (entries.row >= base) & (entries.row < stop) & (entries.col >= first) & (entries.col < last)
        column, place = entries.col[chosen].astype(np.int32), (entries.row[chosen] - base).astype(np.int32)
        add_columns(column, entries.data[chosen], first, counts, sums)
        transpose_block(column, place, entries.data[chosen], first, base, free, rows, weights)
    assert free.tolist() == whole.indptr[1:].tolist()
    assert counts.tolist() == np.diff(whole.indptr).tolist()
    assert sums.tolist() == whole.toarray().sum(axis=1).tolist()
    assert rows.tolist() == whole.indices.tolist()
    assert weights.tolist() == whole.data.tolist()
