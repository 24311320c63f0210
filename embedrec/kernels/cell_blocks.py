"""Cells of a sparse matrix in blocks of rows and parts of columns: which rows a part has, and its transpose.

Cells keep the order of rows, so that a column meets them as in the transpose of the whole matrix.
"""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(nogil=True, cache=True)
def sum_rows(offsets, weights):  # type: ignore[no-untyped-def]
    """The sum of the weights of each row: (r,) float64, for offsets (r+1,) int64 and weights (c,) float32."""
    sums = np.zeros(offsets.shape[0] - 1)
    for row in range(sums.shape[0]):
        for at in range(offsets[row], offsets[row + 1]):
            sums[row] += weights[at]
    return sums


@numba.njit(nogil=True, cache=True)
def count_parts(offsets, columns, part_of, parts):  # type: ignore[no-untyped-def]
    """The cells of each part, and the rows that have one there: two (parts + 1,) int64, as offsets.

    offsets, columns  the cells of r rows: (r+1,) int64, (c,) int32
    part_of           (n,) int32 part of each column
    """
    cells, rows = np.zeros(parts + 1, np.int64), np.zeros(parts + 1, np.int64)
    latest = np.full(parts, -1, np.int64)
    for row in range(offsets.shape[0] - 1):
        for at in range(offsets[row], offsets[row + 1]):
            part = part_of[columns[at]]
            cells[part + 1] += 1
            if latest[part] != row:
                latest[part] = row
                rows[part + 1] += 1
    for part in range(parts):
        cells[part + 1] += cells[part]
        rows[part + 1] += rows[part]
    return cells, rows


@numba.njit(nogil=True, cache=True)
def group_by_part(offsets, columns, weights, part_of, cells, rows, sent, column, place, weight):  # type: ignore[no-untyped-def]
    """Write the rows and the cells of each part, part after part, in order of rows.

    offsets, columns, weights  the cells of r rows: (r+1,) int64, (c,) int32, (c,) float32
    part_of      (n,) int32 part of each column
    cells, rows  as `count_parts` returns them
    sent         (rows[-1],) int32, written: the rows of each part
    column, place, weight  (c,) int32, int32, float32, written: the cells; `place` is that of the row in its part
    """
    parts = cells.shape[0] - 1
    latest = np.full(parts, -1, np.int64)
    free_cell, free_row = cells[:parts].copy(), rows[:parts].copy()
    for row in range(offsets.shape[0] - 1):
        for at in range(offsets[row], offsets[row + 1]):
            part = part_of[columns[at]]
            if latest[part] != row:
                latest[part] = row
                sent[free_row[part]] = row
                free_row[part] += 1
            to = free_cell[part]
            column[to] = columns[at]
            place[to] = free_row[part] - 1 - rows[part]
            weight[to] = weights[at]
            free_cell[part] += 1


@numba.njit(nogil=True, cache=True)
def add_columns(column, weight, first, counts, sums):  # type: ignore[no-untyped-def]
    """Add the cells of a block to the number and the weight of the cells of each column of a part.

    column, weight  (c,) int32, float32 cells of the block in the part, whose first column is `first`
    counts, sums    (columns,) int64, float64
    """
    for i in range(column.shape[0]):
        counts[column[i] - first] += 1
        sums[column[i] - first] += weight[i]


@numba.njit(nogil=True, cache=True)
def transpose_block(column, place, weight, first, base, free, rows, weights):  # type: ignore[no-untyped-def]
    """Add the cells of a block to the transpose of a part, whose columns are first … first + len(free) − 1.

    column, place, weight  (c,) int32, int32, float32 cells of the block in the part, in order of rows
    base           added to a place: the number of the block's first row among all rows of the part
    free           (columns,) int64 next free cell of each column; moved on
    rows, weights  (cells of the part,) int32, float32, written
    """
    for i in range(column.shape[0]):
        to = free[column[i] - first]
        rows[to] = base + place[i]
        weights[to] = weight[i]
        free[column[i] - first] = to + 1
