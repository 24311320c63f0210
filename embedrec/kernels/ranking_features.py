"""Features of candidates: how each candidate of a question relates to the history of the question.

Every kernel writes some columns of one table, for all candidates of q questions: out (N, F) float32, from column `at`.
The candidates of question i are those at offsets[i]:offsets[i + 1], each item at most once; NaN stands for absent.
"""

from __future__ import annotations

from math import isnan, nan, sqrt

import numba
import numpy as np

_LOOSE = {"reassoc", "contract"}  # sums in any order, in vector instructions; NaN keeps its meaning


@numba.njit(nogil=True, cache=True)
def recent_items(offsets, items, times, scale, recent, weights):  # type: ignore[no-untyped-def]
    """The last distinct items of each history, the latest first, and their weights.

    offsets, items  the histories
    times           (E,) int64 milliseconds, or (0,) without times
    scale           milliseconds after which an event has half the weight
    recent          (q, r) int32 of −1, written
    weights         (q, 2, r) float32, written up to the number of items: by place, 1/1, 1/2, 1/3 …; and by time,
                    1 / (1 + age / scale), where the age is the time from the event to the last one; without times as
                    by place
    """
    for i in range(recent.shape[0]):
        count = 0
        for e in range(offsets[i + 1] - 1, offsets[i] - 1, -1):
            repeated = False
            for j in range(count):
                repeated = repeated or recent[i, j] == items[e]
            if repeated:
                continue
            recent[i, count] = items[e]
            weights[i, 0, count] = weights[i, 1, count] = 1 / (count + 1)
            if times.shape[0]:
                weights[i, 1, count] = 1 / (1 + max(times[offsets[i + 1] - 1] - times[e], 0) / scale)
            count += 1
            if count == recent.shape[1]:
                break


@numba.njit(nogil=True, cache=True)
def write_parts(offsets, ranks, scores, smoothing, out, at):  # type: ignore[no-untyped-def]
    """Three columns a part: rank, score, score relative to the first; then the best rank of the item and the sum of its
    reciprocal ranks.

    ranks      (N, P) int32, −1 where the part does not propose the item; scores (N, P) float32
    smoothing  is added to ranks, counted from 1, before they are inverted
    """
    parts = ranks.shape[1]
    first = np.empty(parts, np.float32)
    for i in range(offsets.shape[0] - 1):
        first[:] = -np.inf
        for c in range(offsets[i], offsets[i + 1]):
            for p in range(parts):
                if ranks[c, p] >= 0 and scores[c, p] > first[p]:
                    first[p] = scores[c, p]
        for c in range(offsets[i], offsets[i + 1]):
            best, total = np.inf, 0.0
            for p in range(parts):
                column = at + 3 * p
                if ranks[c, p] < 0:
                    out[c, column] = out[c, column + 1] = out[c, column + 2] = nan
                    continue
                best = min(best, ranks[c, p])
                total += 1 / (smoothing + 1 + ranks[c, p])
                out[c, column], out[c, column + 1] = ranks[c, p], scores[c, p]
                out[c, column + 2] = scores[c, p] / abs(first[p]) if first[p] != 0 else nan
            column = at + 3 * parts
            out[c, column] = best if best < np.inf else nan
            out[c, column + 1] = total


@numba.njit(nogil=True, cache=True)
def write_pairs(starts, partners, values, recent, weights, timed, offsets, items, place, out, at):  # type: ignore[no-untyped-def]
    """Columns of a sparse table of pairs: the value of the candidate for the latest recent item, the highest one, the
    mean weighted by place and, where `timed` is true, by time. Pairs that the table lacks have the value 0.

    starts           (n+1,) int64: item a is paired with partners[starts[a]:starts[a + 1]], int32
    values           float32 beside them, not negative
    recent, weights  see `recent_items`
    place            (n,) int32 of −1; as before afterwards
    """
    for i in range(offsets.shape[0] - 1):
        begin, end = offsets[i], offsets[i + 1]
        empty = recent[i, 0] < 0
        for c in range(begin, end):
            place[items[c]] = c - begin
            for column in range(at, at + 3 + timed):
                out[c, column] = nan if empty else 0
        by_place = by_time = 0.0
        for j in range(recent.shape[1]):
            if recent[i, j] < 0:
                break
            by_place += weights[i, 0, j]
            by_time += weights[i, 1, j]
        for j in range(recent.shape[1]):
            a = recent[i, j]
            if a < 0:
                break
            for e in range(starts[a], starts[a + 1]):
                if place[partners[e]] >= 0:
                    c, value = begin + place[partners[e]], values[e]
                    if j == 0:
                        out[c, at] = value
                    out[c, at + 1] = max(out[c, at + 1], value)
                    out[c, at + 2] += value * weights[i, 0, j] / by_place
                    if timed:
                        out[c, at + 3] += value * weights[i, 1, j] / by_time
        for c in range(begin, end):
            place[items[c]] = -1


@numba.njit(nogil=True, cache=True)
def write_values(starts, columns, values, rows, offsets, items, place, out, at):  # type: ignore[no-untyped-def]
    """One column: the value of the candidate in a row of a sparse table, 0 where it has none; NaN for row −1.

    starts, columns, values  (m+1,) int64, int32 items, float32: row a has values at starts[a] … starts[a + 1] − 1
    rows                     (q,) int64 row of each question, −1 for none
    place                    (n,) int32 of −1; as before afterwards
    """
    for i in range(offsets.shape[0] - 1):
        for c in range(offsets[i], offsets[i + 1]):
            out[c, at] = nan if rows[i] < 0 else 0
            place[items[c]] = c - offsets[i]
        if rows[i] >= 0:
            for e in range(starts[rows[i]], starts[rows[i] + 1]):
                if place[columns[e]] >= 0:
                    out[offsets[i] + place[columns[e]], at] = values[e]
        for c in range(offsets[i], offsets[i + 1]):
            place[items[c]] = -1


@numba.njit(nogil=True, cache=True)
def find_runs(history_offsets, history, length, starts, items, longer_starts, longer_items, rows):  # type: ignore[no-untyped-def]
    """The run of the last `length` events, 2 or 3, of each history: rows (q,) int64 is written, −1 where no run is it.

    starts, items                (n+1,) int64, int32: the items after item a are items[starts[a]:starts[a + 1]],
                                 ascending; entry e is a run of two
    longer_starts, longer_items  the same after run e of two; an entry is a run of three
    """
    for i in range(rows.shape[0]):
        first = history_offsets[i + 1] - length
        rows[i] = -1
        if first < history_offsets[i]:
            continue
        entry = _entry(starts, items, history[first], history[first + 1])
        if entry >= 0 and length == 3:
            entry = _entry(longer_starts, longer_items, entry, history[first + 2])
        rows[i] = entry


@numba.njit(nogil=True, cache=True)
def _entry(starts, items, row, item):  # type: ignore[no-untyped-def]
    """The entry of an item among the ascending items of a row; −1 if it is absent."""
    entry = starts[row] + np.searchsorted(items[starts[row] : starts[row + 1]], item)
    return entry if entry < starts[row + 1] and items[entry] == item else -1


@numba.njit(nogil=True, cache=True)
def inverse_norms(vectors, rows, scale):  # type: ignore[no-untyped-def]
    """1 / norm of the vector of each row (n,) int64; 0 for row −1 and zero vectors. `scale` (n,) float32 is written."""
    for r in range(rows.shape[0]):
        total = 0.0
        if rows[r] >= 0:
            for k in range(vectors.shape[1]):
                total += np.float64(vectors[rows[r], k]) ** 2
        scale[r] = 1 / sqrt(total) if total > 0 else 0


@numba.njit(nogil=True, cache=True, fastmath=_LOOSE)
def _dot(x, i, y, j):  # type: ignore[no-untyped-def]
    """The dot product of row i of x and row j of y, float32."""
    total = np.float32(0)
    for k in range(x.shape[1]):
        total += x[i, k] * y[j, k]
    return total


@numba.njit(nogil=True, cache=True)
def write_cosines(vectors, rows, scale, recent, weights, timed, offsets, items, out, at):  # type: ignore[no-untyped-def]
    """Columns: the cosine of the candidate with the latest recent item, the highest one, the mean weighted by place
    and, where `timed` is true, by time. Items without a vector are left out; NaN for a candidate without one.

    vectors  (m, d) float32
    rows     (n,) int64 row of each item in `vectors`, −1 for none; scale (n,) float32, see `inverse_norms`
    recent   (q, r) int32, weights (q, 2, r) float32, see `recent_items`
    """
    most, d = recent.shape[1], vectors.shape[1]
    unit, kept = np.empty((most, d), np.float32), np.empty((2, most), np.float32)  # recent items with a vector
    for i in range(offsets.shape[0] - 1):
        count = 0
        by_place = by_time = np.float32(0)
        for j in range(most):
            a = recent[i, j]
            if a < 0:
                break
            if scale[a] == 0:
                continue
            for k in range(d):
                unit[count, k] = vectors[rows[a], k] * scale[a]
            kept[0, count], kept[1, count] = weights[i, 0, j], weights[i, 1, j]
            by_place += weights[i, 0, j]
            by_time += weights[i, 1, j]
            count += 1
        for c in range(offsets[i], offsets[i + 1]):
            item = items[c]
            if count == 0 or scale[item] == 0:
                for column in range(at, at + 3 + timed):
                    out[c, column] = nan
                continue
            highest, place_sum, time_sum = np.float32(-np.inf), np.float32(0), np.float32(0)
            for j in range(count):
                value = _dot(vectors, rows[item], unit, j) * scale[item]
                if j == 0:
                    out[c, at] = value
                highest = max(highest, value)
                place_sum += value * kept[0, j]
                time_sum += value * kept[1, j]
            out[c, at + 1], out[c, at + 2] = highest, place_sum / by_place
            if timed:
                out[c, at + 3] = time_sum / by_time


@numba.njit(nogil=True, cache=True)
def write_query_scores(vectors, rows, scale, queries, offsets, items, out, at):  # type: ignore[no-untyped-def]
    """One column: the dot product of the query of a question and the vector of the candidate, times the scale of the
    candidate; NaN for a candidate without a vector.

    vectors  (m, d) float32; rows (n,) int64 row of each item in `vectors`, −1 for none; scale (n,) float32
    queries  (q, d) float32
    """
    for i in range(offsets.shape[0] - 1):
        for c in range(offsets[i], offsets[i + 1]):
            item = items[c]
            out[c, at] = nan if rows[item] < 0 else _dot(vectors, rows[item], queries, i) * scale[item]


@numba.njit(nogil=True, cache=True)
def write_history(history_offsets, history, times, timed, offsets, items, place, out, at):  # type: ignore[no-untyped-def]
    """Columns: how often the candidate is in the history; the number of events after its last one; the number of
    events and the share of distinct items; and, where `timed` is true, seconds from the first event to the last and
    from the last but one to the last. NaN where they are absent.

    history_offsets, history  the histories
    times                     (E,) int64 milliseconds, or (0,) without times
    place                     (n,) int32 of −1; as before afterwards
    """
    for i in range(offsets.shape[0] - 1):
        begin, end = offsets[i], offsets[i + 1]
        first, stop = history_offsets[i], history_offsets[i + 1]
        length, distinct = stop - first, 0
        for e in range(first, stop):
            distinct += place[history[e]] == -1
            place[history[e]] = -2
        for e in range(first, stop):
            place[history[e]] = -1
        duration = gap = nan
        if times.shape[0] and length > 0:
            duration = (times[stop - 1] - times[first]) / 1000
            if length > 1:
                gap = (times[stop - 1] - times[stop - 2]) / 1000
        for c in range(begin, end):
            place[items[c]] = c - begin
            out[c, at], out[c, at + 1] = 0, nan
            out[c, at + 2], out[c, at + 3] = length, distinct / length if length > 0 else nan
            if timed:
                out[c, at + 4], out[c, at + 5] = duration, gap
        for e in range(first, stop):
            if place[history[e]] >= 0:
                c = begin + place[history[e]]
                out[c, at] += 1
                out[c, at + 1] = stop - 1 - e
        for c in range(begin, end):
            place[items[c]] = -1


@numba.njit(nogil=True, cache=True)
def shared_categories(starts, codes, a, b):  # type: ignore[no-untyped-def]
    """The Jaccard coefficient of the categories of items a and b; NaN where one of them has none.

    starts, codes  item r has the distinct categories codes[starts[r]:starts[r + 1]], ascending
    """
    i, stop_a, j, stop_b = starts[a], starts[a + 1], starts[b], starts[b + 1]
    if i == stop_a or j == stop_b:
        return nan
    shared, total = 0, stop_a - i + stop_b - j
    while i < stop_a and j < stop_b:
        x, y = codes[i], codes[j]
        shared += x == y
        i += x <= y
        j += y <= x
    return shared / (total - shared)


@numba.njit(nogil=True, cache=True)
def write_categories(starts, codes, recent, weights, offsets, items, out, at):  # type: ignore[no-untyped-def]
    """Two columns: the categories that a candidate shares with the latest item, as of `shared_categories`, and the mean
    over the recent items, weighted by place; NaN where categories are missing.

    starts, codes    (n+1,) int64, int32, see `shared_categories`
    recent, weights  see `recent_items`
    """
    for i in range(offsets.shape[0] - 1):
        for c in range(offsets[i], offsets[i + 1]):
            last, total, sum_weights = nan, 0.0, 0.0
            for j in range(recent.shape[1]):
                a = recent[i, j]
                if a < 0:
                    break
                value = shared_categories(starts, codes, a, items[c])
                if j == 0:
                    last = value
                if not isnan(value):
                    total += value * weights[i, 0, j]
                    sum_weights += weights[i, 0, j]
            out[c, at] = last
            out[c, at + 1] = total / sum_weights if sum_weights > 0 else nan


@numba.njit(nogil=True, cache=True)
def write_numbers(numbers, ratio, recent, weights, offsets, items, out, at):  # type: ignore[no-untyped-def]
    """Three columns: the number of a candidate, its ratio to that of the latest item, or the difference, and the same
    to the mean of the recent items, weighted by place; NaN where numbers are missing.

    numbers          (n,) float32, NaN for missing; above 0 where `ratio` is true
    ratio            whether numbers are compared by their ratio
    recent, weights  see `recent_items`
    """
    for i in range(offsets.shape[0] - 1):
        last, total, sum_weights = nan, 0.0, 0.0
        for j in range(recent.shape[1]):
            a = recent[i, j]
            if a < 0:
                break
            value = np.float64(numbers[a])
            if j == 0:
                last = value
            if not isnan(value):
                total += value * weights[i, 0, j]
                sum_weights += weights[i, 0, j]
        mean = total / sum_weights if sum_weights > 0 else nan
        for c in range(offsets[i], offsets[i + 1]):
            value = np.float64(numbers[items[c]])
            out[c, at] = value
            out[c, at + 1] = value / last if ratio else value - last
            out[c, at + 2] = value / mean if ratio else value - mean
