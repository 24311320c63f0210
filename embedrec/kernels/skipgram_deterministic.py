"""Deterministic training: threads train on copies of rows, and the changes are added in a fixed order."""

from __future__ import annotations

import numba
import numpy as np

from embedrec.kernels.skipgram import FILLERS, cbow, skipgram


@numba.njit(nogil=True, cache=True)
def collect_rows(rows, slot, place, rows_out, known):  # type: ignore[no-untyped-def]
    """Collect distinct rows: place[i] = the position of rows[i] among them; returns their number.

    slot      (n,) int32: position of each collected row, −1 for the others
    rows_out  the collected rows, of which the first `known` exist already
    """
    for i in range(rows.shape[0]):
        row = rows[i]
        if slot[row] < 0:
            slot[row] = known
            rows_out[known] = row
            known += 1
        place[i] = slot[row]
    return known


@numba.njit(nogil=True, cache=True)
def split_lanes(left, right, tiles, drawn, budget):  # type: ignore[no-untyped-def]
    """Cut a plan into lanes: (l+1,) int64, lane i is tiles cuts[i] … cuts[i + 1] − 1.

    A lane ends where its centres have used `budget` rows, and has at least one tile.
    """
    cuts = np.zeros(tiles.shape[0] + 1, np.int64)
    lanes, met = 0, 0
    for j in range(tiles.shape[0] - 1):
        work = 0
        for i in range(tiles[j], tiles[j + 1]):
            work += right[i] - left[i] + drawn[j + 1] - drawn[j]
        if met > 0 and met + work > budget:
            lanes += 1
            cuts[lanes] = j
            met = 0
        met += work
    if met > 0:
        lanes += 1
        cuts[lanes] = tiles.shape[0] - 1
    return cuts[: lanes + 1]


@numba.njit(nogil=True, cache=True)
def _copy(vectors, rows, copies):  # type: ignore[no-untyped-def]
    """copies[i] = vectors[rows[i]]."""
    for i in range(rows.shape[0]):
        row = rows[i]
        for k in range(vectors.shape[1]):
            copies[i, k] = vectors[row, k]


@numba.njit(nogil=True, cache=True)
def _subtract(vectors, rows, copies):  # type: ignore[no-untyped-def]
    """copies[i] −= vectors[rows[i]]."""
    for i in range(rows.shape[0]):
        row = rows[i]
        for k in range(vectors.shape[1]):
            copies[i, k] -= vectors[row, k]


@numba.njit(nogil=True, cache=True)
def _add(vectors, rows, change, part, parts):  # type: ignore[no-untyped-def]
    """vectors[rows[i]] += change[i] for rows equal to `part` modulo `parts`."""
    for i in range(rows.shape[0]):
        row = rows[i]
        if row % parts == part:
            for k in range(vectors.shape[1]):
                vectors[row, k] += change[i, k]


@numba.njit(nogil=True, cache=True)
def learn_lane(x, y, centre, left, right, tiles, drawn, noise, rate, negative, table, skip, start, stop, slot):  # type: ignore[no-untyped-def]
    """Train on tiles start … stop − 1 of a plan with copies of the rows of x and y.

    skip  whether to train skip-gram instead of CBOW
    slot  (n,) int32 of −1, scratch, restored
    The other arguments are those of `skipgram`; none of them is written.

    Returns rows of x (v,) and of y (u,) int32, their changes (v, w) and (≥ u, w), loss and number of pairs.
    """
    low, high = left[tiles[start]], right[tiles[stop] - 1]  # kept mentions of these tiles
    for i in range(tiles[start], tiles[stop]):
        low, high = min(low, left[i]), max(high, right[i])
    kept, drawings = centre[low:high], noise[drawn[start] : drawn[stop]]
    positions = np.empty(kept.shape[0] + drawings.shape[0], np.int32)
    kept_slots, drawn_slots = np.empty(kept.shape[0], np.int32), np.empty(drawings.shape[0], np.int32)
    v = collect_rows(kept, slot, kept_slots, positions, 0)
    u = collect_rows(drawings, slot, drawn_slots, positions, v)
    for i in range(u):
        slot[positions[i]] = -1
    inputs, outputs = positions[:v], positions[:u]
    dx, dy = np.empty((v, x.shape[1]), np.float32), np.zeros((u + FILLERS, y.shape[1]), np.float32)
    _copy(x, inputs, dx)
    _copy(y, outputs, dy)
    span, draws = tiles[start : stop + 1] - low, drawn[start : stop + 1] - drawn[start]
    args = (
        kept_slots,
        left[low:high] - low,
        right[low:high] - low,
        span,
        draws,
        drawn_slots,
        rate[start:stop],
        negative,
        table,
    )
    loss, pairs = skipgram(dx, dy, *args) if skip else cbow(dx, dy, *args)
    _subtract(x, inputs, dx)
    _subtract(y, outputs, dy)
    return inputs, outputs, dx, dy, loss, pairs


@numba.njit(nogil=True, cache=True)
def add_changes(x, y, inputs, outputs, dx, dy, part, parts):  # type: ignore[no-untyped-def]
    """Add the changes of a lane to x and y for rows equal to `part` modulo `parts`; other threads add the others."""
    _add(x, inputs, dx, part, parts)
    _add(y, outputs, dy, part, parts)
