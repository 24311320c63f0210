"""Arrays of a model: ids in them, and their shapes."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.errors import DataError
from embedrec.models.array_packing import pack_ids, shaped, unpack_ids


@pytest.mark.parametrize(
    "ids",
    [
        np.array([3, -1, 2**62]),
        np.array([], dtype=np.int64),
        np.array(["a", "Röyksopp", "", "\udcff", "日本"], dtype=object),
        np.array([], dtype=object),
    ],
)
def test_packed_ids_are_restored(ids: np.ndarray) -> None:
    arrays = pack_ids(ids, "user")
    assert all(array.dtype != object for array in arrays.values())
    there = unpack_ids(arrays, "user").ids
    assert there.dtype == ids.dtype and there.tolist() == ids.tolist()


@pytest.mark.parametrize("offsets", [[], [1, 2], [0, 1], [0, 2, 1, 2]])
def test_damaged_ids_are_refused(offsets: list[int]) -> None:
    arrays = {"user_letters": np.frombuffer(b"ab", dtype=np.uint8), "user_offsets": np.array(offsets, dtype=np.int64)}
    with pytest.raises(DataError, match=r"offsets of the ids of a model \(user\) must ascend from 0 to"):
        unpack_ids(arrays, "user")


def test_wrong_shapes_are_refused() -> None:
    arrays = {"items": np.zeros((3, 2), dtype=np.float32)}
    assert shaped(arrays, "items", (3, 2), "gru4rec") is arrays["items"]
    with pytest.raises(DataError) as error:
        shaped(arrays, "items", (2, 3), "gru4rec")
    assert str(error.value) == "items of a gru4rec model must have shape (2, 3), but is (3, 2)"
    with pytest.raises(DataError) as error:
        shaped(arrays, "bias", (3,), "two-tower")
    assert str(error.value) == "bias of a two-tower model must have shape (3,), but is missing"
