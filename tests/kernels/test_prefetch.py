"""Arrays by their addresses, and fetches that change nothing."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from numba import carray

from embedrec.kernels.prefetch import fetch, floats, int32s, int64s


@numba.njit
def float_copy(address, n):  # type: ignore[no-untyped-def]
    return carray(floats(address), (n,)).copy()


@numba.njit
def int32_copy(address, n):  # type: ignore[no-untyped-def]
    return carray(int32s(address), (n,)).copy()


@numba.njit
def int64_copy(address, n):  # type: ignore[no-untyped-def]
    return carray(int64s(address), (n,)).copy()


@numba.njit
def write_first(address, value):  # type: ignore[no-untyped-def]
    carray(int32s(address), (1,))[0] = value


@numba.njit
def sum_after_fetch(array, place):  # type: ignore[no-untyped-def]
    fetch(array, place)
    return array.sum()


@pytest.mark.parametrize(("copy", "dtype"), [(float_copy, np.float32), (int32_copy, np.int32), (int64_copy, np.int64)])
def test_an_array_is_read_through_its_address(copy, dtype) -> None:  # type: ignore[no-untyped-def]
    array = np.array([1, -2, 3, 4], dtype=dtype)
    result = copy(array.ctypes.data, 3)
    assert result.dtype == dtype and result.tolist() == [1, -2, 3]
    assert copy(array[2:].ctypes.data, 2).tolist() == [3, 4]


def test_writes_reach_the_array_behind_an_address() -> None:
    array = np.array([1, 2], dtype=np.int32)
    write_first(array[1:].ctypes.data, 9)
    assert array.tolist() == [1, 9]


@pytest.mark.parametrize("place", [0, 2, -1, 3, 10**9])
@pytest.mark.parametrize("dtype", [np.int64, np.float32])
def test_a_prefetch_changes_nothing_at_any_position(place: int, dtype: type) -> None:
    array = np.arange(3, dtype=dtype)
    assert sum_after_fetch(array, place) == 3
    assert array.tolist() == [0, 1, 2]
