"""Compiled hot loops (numba) as functions of plain arrays."""
