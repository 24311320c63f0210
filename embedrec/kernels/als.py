"""Weighted least squares against fixed vectors, row by row: the arithmetic of ALS.

A row with cells (j, w) is the x that minimises

    Σ_j w·(1 − x·f_j)² + u·Σ_all f (x·f)² + ridge·|x|²

(Hu, Koren & Volinsky 2008, with the unobserved weight u of Rendle et al. 2022). `solve` does it by conjugate gradient
(Takács, Pilászy & Tikk 2011) in the *principal axes* of the fixed vectors, which `turn` turns all vectors into. There
their Gram matrix is diagonal, so that a step costs the row's cells times d and not d² more; and scaled by the root of
that diagonal the system is the identity plus one rank a cell, which needs as many steps as the row has cells, and few
where it has many.

Rows are independent of each other, whoever solves them. All vectors are (·, w) float32 as `rows.padded` makes them.
"""

from __future__ import annotations

import numba
import numpy as np

from embedrec.kernels.row_blas import add4, dot4


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def gram(x, first, last):  # type: ignore[no-untyped-def]
    """Σ x[i]ᵀ x[i] of rows first … last − 1: (w, w) float32."""
    width = x.shape[1]
    out = np.zeros((width, width), np.float32)
    whole = first + (last - first) // 4 * 4
    for i in range(first, whole, 4):
        for k in range(width):
            add4(out, k, x, i, i + 1, i + 2, i + 3, x[i, k], x[i + 1, k], x[i + 2, k], x[i + 3, k])
    nothing = np.float32(0)
    for i in range(whole, last):
        for k in range(width):
            add4(out, k, x, i, i, i, i, x[i, k], nothing, nothing, nothing)
    return out


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def turn(x, axes, offsets, least, first, last):  # type: ignore[no-untyped-def]
    """x[i] = x[i] · axes (w, w) for those of the rows first … last − 1 that have more than `least` cells."""
    width = x.shape[1]
    turned = np.zeros((1, width), np.float32)
    for i in range(first, last):
        if offsets[i + 1] - offsets[i] > least:
            turned[0] = 0
            for k in range(0, width, 4):
                add4(turned, 0, axes, k, k + 1, k + 2, k + 3, x[i, k], x[i, k + 1], x[i, k + 2], x[i, k + 3])
            x[i] = turned[0]


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _four(columns, weights, c, stop):  # type: ignore[no-untyped-def]
    """Columns and weights of cells c … c + 3; beyond stop the first one's column with weight 0."""
    a, nothing = columns[c], np.float32(0)
    b, wb = (columns[c + 1], weights[c + 1]) if c + 1 < stop else (a, nothing)
    d, wd = (columns[c + 2], weights[c + 2]) if c + 2 < stop else (a, nothing)
    e, we = (columns[c + 3], weights[c + 3]) if c + 3 < stop else (a, nothing)
    return a, b, d, e, weights[c], wb, wd, we


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _through(fixed, columns, weights, start, stop, work):  # type: ignore[no-untyped-def]
    """work[1] = Σ w · (work[0] · fixed[j]) · fixed[j] over the cells start … stop − 1."""
    work[1] = 0
    for at in range(start, stop, 4):
        a, b, c, e, wa, wb, wc, we = _four(columns, weights, at, stop)
        sa, sb, sc, se = dot4(work, 0, fixed, a, b, c, e)
        add4(work, 1, fixed, a, b, c, e, wa * sa, wb * sb, wc * sc, we * se)


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def solve(offsets, columns, weights, ridge, fixed, spread, x, steps, tolerance, first, last):  # type: ignore[no-untyped-def]
    """Solve rows first … last − 1, in place.

    offsets, columns, weights  the cells of r rows: (r+1,) int64, (c,) int32 rows of `fixed`, (c,) float32 above 0
    ridge      (r,) float32 above 0
    fixed      (f, w) in its principal axes
    spread     (w,) float32, the diagonal of its Gram matrix times the unobserved weight
    x          (r, w): what is known, in the same axes, and what is found; where a row has at most `steps` cells, it
               is found from nothing
    steps      of conjugate gradient, at most
    tolerance  where to stop before: length of the gradient, relative to that at x = 0

    Returns (last − first,) float64: the rows' minima as they were reached; that of a row without cells is 0, at x = 0.
    """
    width = fixed.shape[1]
    minima = np.zeros(last - first)
    # One array, because compiled loops may take another way, and round otherwise, where two happen to lie side by side.
    work = np.zeros((9, width), np.float32)
    diagonal, scale, goal, z, rest, way, bend = work[2], work[3], work[4], work[5], work[6], work[7], work[8]
    diagonal[:] = spread
    for row in range(first, last):
        start, stop = offsets[row], offsets[row + 1]
        if start == stop:
            x[row] = 0
            continue
        for k in range(width):
            scale[k] = np.float32(1) / np.sqrt(diagonal[k] + ridge[row])
        work[1] = 0
        total = 0.0
        for at in range(start, stop, 4):
            a, b, c, e, wa, wb, wc, we = _four(columns, weights, at, stop)
            add4(work, 1, fixed, a, b, c, e, wa, wb, wc, we)
            total += wa + wb + wc + we
        whole, length = np.float32(0), np.float32(0)  # squared lengths of the gradient, at 0 and where we are
        for k in range(width):
            goal[k] = scale[k] * work[1, k]
            whole += goal[k] * goal[k]
        if stop - start <= steps:
            z[:], rest[:], way[:] = 0, goal, goal
            length = whole
        else:
            work[0] = x[row]
            _through(fixed, columns, weights, start, stop, work)
            for k in range(width):
                z[k] = work[0, k] / scale[k]
                rest[k] = goal[k] - z[k] - scale[k] * work[1, k]
                way[k] = rest[k]
                length += rest[k] * rest[k]
        for _ in range(steps):
            if length <= tolerance * tolerance * whole:
                break
            for k in range(width):
                work[0, k] = scale[k] * way[k]
            _through(fixed, columns, weights, start, stop, work)
            curvature = np.float32(0)
            for k in range(width):
                bend[k] = way[k] + scale[k] * work[1, k]
                curvature += way[k] * bend[k]
            far = length / curvature
            before, length = length, np.float32(0)
            for k in range(width):
                z[k] += far * way[k]
                rest[k] -= far * bend[k]
                length += rest[k] * rest[k]
            for k in range(width):
                way[k] = rest[k] + length / before * way[k]
        gain = 0.0
        for k in range(width):
            gain += z[k] * (goal[k] + rest[k])
            work[0, k] = scale[k] * z[k]
        x[row] = work[0]
        minima[row - first] = total - gain
    return minima
