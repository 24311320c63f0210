"""The comparison of exports against slow references."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.errors import SettingsError
from embedrec.export.diff import compare_exports
from embedrec.export.read_lists import IdCodes, RankedLists, read_lists


def test_encoded_ids_equal_those_of_other_formats(tmp_path: Path) -> None:
    (tmp_path / "e.txt").write_text("a%20b c%25d\nc%25d a%20b\n")
    (tmp_path / "o.tsv").write_text("a b\t1\tc%d\t.5\nc%d\t1\ta b\t.5\n")
    codes = IdCodes()
    old, new = (read_lists(tmp_path / name, codes, encoded=True) for name in ("e.txt", "o.tsv"))
    assert compare_exports(old, new, codes).overlap == 1 and codes.ids == ["a b", "c%d"]


def ranked_lists(lists: dict[str, str], codes: IdCodes) -> RankedLists:
    import pyarrow as pa

    seeds = codes.of(pa.array(list(lists)))
    items = [codes.of(pa.array(list(results), pa.string())) for results in lists.values()]
    return RankedLists(seeds, np.cumsum([0, *map(len, items)]), np.concatenate(items))


def slow_rbo(a: str, b: str, p: float) -> float:
    """Equation 32 of Webber, Moffat & Zobel (2010)."""
    short, long = sorted((a, b), key=len)
    s, ell = len(short), len(long)
    if not ell:
        return 1.0
    x = [len(set(short[:d]) & set(long[:d])) for d in range(ell + 1)]
    first = sum(x[d] / d * p**d for d in range(1, ell + 1))
    second = sum(x[s] * (d - s) / (s * d) * p**d for d in range(s + 1, ell + 1)) if s else 0
    return (1 - p) / p * (first + second) + ((x[ell] - x[s]) / ell + (x[s] / s if s else 0)) * p**ell


LIST = st.lists(st.sampled_from("abcdefgh"), unique=True).map("".join)


@given(LIST, LIST, st.sampled_from([0.5, 0.9, 0.99]), st.integers(1, 8))
def test_figures_equal_a_slow_reference(a: str, b: str, p: float, k: int) -> None:
    codes = IdCodes()
    old, new = ranked_lists({"X": a}, codes), ranked_lists({"X": b}, codes)
    result = compare_exports(old, new, codes, k=k, p=p)
    a, b = a[:k], b[:k]
    assert result.overlap == pytest.approx(len({*a} & {*b}) / max(len(a), len(b)) if a or b else 1)
    assert result.figures["rank-biased overlap"] == pytest.approx(slow_rbo(a, b, p))
    assert result.figures["lists unchanged"] == (a == b)
    assert len(result.worst) == (a != b)
    for row in result.worst:
        assert row["lost"] == [i for i in a if i not in b] and row["gained"] == [i for i in b if i not in a]
    assert result.figures["items lost"] == len({*a} - {*b})


def test_rank_biased_overlap_of_known_rankings() -> None:
    codes = IdCodes()
    old = ranked_lists({"A": "abcd", "B": "abcd", "C": "abcd"}, codes)
    new = ranked_lists({"A": "abcd", "B": "efgh", "C": "ab"}, codes)
    result = compare_exports(old, new, codes, p=0.9)
    rbo = {row["item"]: row["rbo"] for row in result.worst}
    assert rbo == {"B": 0.0, "C": 1.0}  # extrapolated from the agreement so far; A is unchanged
    assert [row["item"] for row in result.worst] == ["B", "C"]


def test_figures_by_hand() -> None:
    codes = IdCodes()
    old = ranked_lists({"a": "bc", "b": "ac", "x": "ab", "y": ""}, codes)
    new = ranked_lists({"b": "ca", "a": "bd", "z": "zy", "y": ""}, codes)
    result = compare_exports(old, new, codes, counts={"a": 10, "b": 5, "c": 0, "d": 2, "w": 20}, worst=1)
    assert result.figures == {
        "lists": (4, 4),
        "lists in both": 3,
        "lists lost": 1,
        "lists gained": 1,
        "results": (6, 6),
        "items listed": (3, 6),
        "items lost": 0,
        "items gained": 3,
        "lists unchanged": 1,
        "overlap@2": pytest.approx((0.5 + 1 + 1) / 4),
        "rank-biased overlap": pytest.approx((slow_rbo("bc", "bd", 0.9) + slow_rbo("ac", "ca", 0.9) + 1) / 4),
        "popularity": (pytest.approx((5 + 0 + 10 + 0 + 10 + 5) / 20 / 6), pytest.approx((0 + 10 + 5 + 2) / 20 / 6)),
    }
    assert result.worst == [{"item": "a", "overlap@2": 0.5, "rbo": 0.55, "lost": ["c"], "gained": ["d"]}]
    with pytest.raises(SettingsError, match="no item in common"):
        compare_exports(old, ranked_lists({"q": "a"}, codes), codes)
    with pytest.raises(SettingsError, match="the old export has no results"):
        compare_exports(RankedLists(*np.zeros((3, 0), np.int64)), new, codes)
    with pytest.raises(SettingsError, match="p must be between 0 and 1; it is 1"):
        compare_exports(old, new, codes, p=1)
