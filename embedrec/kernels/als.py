"""Weighted least squares with fixed vectors, row by row: the arithmetic of ALS.

A row with cells (j, w) is the x that minimises

    Σ_j w·(1 − x·f_j)² + u·Σ_all f (x·f)² + ridge·|x|²

(Hu, Koren & Volinsky 2008, with the unobserved weight u of Rendle et al. 2022). `solve` does it by conjugate gradient
(Takács, Pilászy & Tikk 2011) in the *principal axes* of the fixed vectors, into which `rotate` rotates all vectors.
There the Gram matrix is diagonal, so that a step costs the row's cells times d instead of an additional d². Scaled by
the root of that diagonal, the system is the identity plus one rank per cell; it needs at most as many steps as the row
has cells, and few for rows with many cells.

Rows are independent of each other, so that results do not depend on threads. All vectors are (·, w) float32 from
`row_blas.padded`.
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
    zero = np.float32(0)
    for i in range(whole, last):
        for k in range(width):
            add4(out, k, x, i, i, i, i, x[i, k], zero, zero, zero)
    return out


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def rotate(x, axes, offsets, min_cells, first, last):  # type: ignore[no-untyped-def]
    """x[i] = x[i] · axes (w, w) for the rows first … last − 1 with more than `min_cells` cells."""
    width = x.shape[1]
    rotated = np.zeros((1, width), np.float32)
    for i in range(first, last):
        if offsets[i + 1] - offsets[i] > min_cells:
            rotated[0] = 0
            for k in range(0, width, 4):
                add4(rotated, 0, axes, k, k + 1, k + 2, k + 3, x[i, k], x[i, k + 1], x[i, k + 2], x[i, k + 3])
            x[i] = rotated[0]


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _four(columns, weights, c, stop):  # type: ignore[no-untyped-def]
    """Columns and weights of cells c … c + 3; beyond `stop` the column of the first cell with weight 0."""
    a, zero = columns[c], np.float32(0)
    b, wb = (columns[c + 1], weights[c + 1]) if c + 1 < stop else (a, zero)
    d, wd = (columns[c + 2], weights[c + 2]) if c + 2 < stop else (a, zero)
    e, we = (columns[c + 3], weights[c + 3]) if c + 3 < stop else (a, zero)
    return a, b, d, e, weights[c], wb, wd, we


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _apply(fixed, columns, weights, start, stop, work):  # type: ignore[no-untyped-def]
    """work[1] = Σ w · (work[0] · fixed[j]) · fixed[j] over the cells start … stop − 1."""
    work[1] = 0
    for at in range(start, stop, 4):
        a, b, c, e, wa, wb, wc, we = _four(columns, weights, at, stop)
        sa, sb, sc, se = dot4(work, 0, fixed, a, b, c, e)
        add4(work, 1, fixed, a, b, c, e, wa * sa, wb * sb, wc * sc, we * se)


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def solve(offsets, columns, weights, ridge, fixed, unobserved_diagonal, x, steps, tolerance, first, last):  # type: ignore[no-untyped-def]
    """Solve rows first … last − 1, in place.

    offsets, columns, weights  the cells of r rows: (r+1,) int64, (c,) int32 rows of `fixed`, (c,) positive float32
    ridge      (r,) positive float32
    fixed      (f, w) in its principal axes
    unobserved_diagonal  (w,) float32, the diagonal of its Gram matrix times the unobserved weight
    x          (r, w): initial vectors in the same axes, and the result; rows with at most `steps` cells start at 0
    steps      maximum number of steps of conjugate gradient
    tolerance  relative norm of the gradient, compared to that at x = 0, at which to stop

    Returns (last − first,) float64: the objective of each row; 0 for a row without cells, whose x is 0.
    """
    width = fixed.shape[1]
    minima = np.zeros(last - first)
    # One array: a compiled loop may branch on whether arrays are adjacent in memory, and round differently.
    work = np.zeros((9, width), np.float32)
    diagonal, scale, rhs, z, residual, direction, image = work[2], work[3], work[4], work[5], work[6], work[7], work[8]
    diagonal[:] = unobserved_diagonal
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
        initial, current = np.float32(0), np.float32(0)  # squared norms of the gradient at 0 and at the current x
        for k in range(width):
            rhs[k] = scale[k] * work[1, k]
            initial += rhs[k] * rhs[k]
        if stop - start <= steps:
            z[:], residual[:], direction[:] = 0, rhs, rhs
            current = initial
        else:
            work[0] = x[row]
            _apply(fixed, columns, weights, start, stop, work)
            for k in range(width):
                z[k] = work[0, k] / scale[k]
                residual[k] = rhs[k] - z[k] - scale[k] * work[1, k]
                direction[k] = residual[k]
                current += residual[k] * residual[k]
        for _ in range(steps):
            if current <= tolerance * tolerance * initial:
                break
            for k in range(width):
                work[0, k] = scale[k] * direction[k]
            _apply(fixed, columns, weights, start, stop, work)
            curvature = np.float32(0)
            for k in range(width):
                image[k] = direction[k] + scale[k] * work[1, k]
                curvature += direction[k] * image[k]
            step_size = current / curvature
            previous, current = current, np.float32(0)
            for k in range(width):
                z[k] += step_size * direction[k]
                residual[k] -= step_size * image[k]
                current += residual[k] * residual[k]
            for k in range(width):
                direction[k] = residual[k] + current / previous * direction[k]
        gain = 0.0
        for k in range(width):
            gain += z[k] * (rhs[k] + residual[k])
            work[0, k] = scale[k] * z[k]
        x[row] = work[0]
        minima[row - first] = total - gain
    return minima
