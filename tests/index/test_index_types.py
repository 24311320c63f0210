"""Named index types: the factory string of each for a size."""

from __future__ import annotations

import pytest

from embedrec.errors import SettingsError
from embedrec.index.index_types import AUTO, INDEXES, POINTS_PER_CELL, factory_string


@pytest.mark.parametrize(
    ("n", "spec"),
    [(1, "IVF1"), (38, "IVF1"), (39, "IVF1"), (100, "IVF2"), (5000, "IVF128"), (10**5, "IVF1264"), (10**6, "IVF4000")],
)
def test_the_number_of_cells_grows_with_the_square_root(n: int, spec: str) -> None:
    assert factory_string("ivf", n, 64) == f"{spec},Flat"
    assert n < POINTS_PER_CELL or n // int(spec[3:]) >= POINTS_PER_CELL


def test_unknown_types_are_refused() -> None:
    assert factory_string("flat", 10, 64) == "Flat"
    assert factory_string("OPQ16_64,IVF4096,PQ16x4fsr", 10, 64) == "OPQ16_64,IVF4096,PQ16x4fsr"
    for kind, message in (
        ("ivff", "no index type is called 'ivff'; did you mean 'ivf'"),
        ("lsh", "valid are flat, ivf, ivf-sq8, ivfpq, opq, fastscan, hnsw, hnsw-sq8, auto and FAISS"),
        ("", "no index type is called ''"),
    ):
        with pytest.raises(SettingsError, match=message):
            factory_string(kind, 10, 64)


@pytest.mark.parametrize(
    ("kind", "small", "large"),
    [
        ("flat", "Flat", "Flat"),
        ("ivf", "IVF2,Flat", "IVF2560,Flat"),
        ("ivf-sq8", "IVF2,SQ8", "IVF2560,SQ8"),
        ("ivfpq", "Pad8,IVF2,Flat", "Pad8,IVF2560,PQ2np"),
        ("opq", "IVF2,Flat", "OPQ2_8,IVF2560,PQ2np"),
        ("fastscan", "IVF2,Flat", "IVF2560,PQ3x4fsr"),
        ("hnsw", "HNSW16", "HNSW16"),
        ("hnsw-sq8", "HNSW16_SQ8", "HNSW16_SQ8"),
    ],
)
def test_factory_strings_depend_on_the_number_of_vectors(kind: str, small: str, large: str) -> None:
    """Few vectors are not compressed; dimensions are padded to equal parts."""
    assert factory_string(kind, 100, 6) == small
    assert factory_string(kind, 410_000, 6) == large
    assert kind in INDEXES


def test_codes_have_four_bits_when_eight_cannot_be_trained() -> None:
    assert [factory_string("ivfpq", n, 8).split(",")[-1] for n in (623, 624, 9983, 9984)] == [
        "Flat",
        "PQ2x4np",
        "PQ2x4np",
        "PQ2np",
    ]


def test_rounds_of_auto_are_numbered_without_gaps() -> None:
    for rounds in zip(*(entry.auto for entry in INDEXES.values()), strict=True):
        assert {*rounds} - {0} == set(range(1, max(rounds) + 1))
    assert AUTO not in INDEXES
