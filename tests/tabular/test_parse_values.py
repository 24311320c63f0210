"""Ids and numbers of Arrow columns, and masks of invalid values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import strategies as st

from embedrec.tabular.parse_values import cast
from tests.data import strategies as draw


@pytest.mark.parametrize("text", ["2024-05-31 23:59:00", "soon", "2024-02-30", "31.5.2024", "2024-13-01 00:00"])
@pytest.mark.parametrize("target", [pa.float64(), pa.int64(), pa.timestamp("ns"), pa.date32()])
def test_a_column_that_is_wrong_in_every_row_takes_few_casts(
    text: str, target: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    casts, arrow_cast = [], pc.cast

    def counted(column: Any, *arguments: Any, **options: Any) -> Any:
        casts.append(len(column))
        return arrow_cast(column, *arguments, **options)

    monkeypatch.setattr(pc, "cast", counted)
    found, wrong = cast(pa.array([text] * 1000), target)
    monkeypatch.undo()
    assert 1 <= len(casts) <= 2
    assert wrong.tolist() == np.equal(found.is_null().to_numpy(zero_copy_only=False), True).tolist()
    assert wrong.all() != (text == "2024-05-31 23:59:00" and target == pa.timestamp("ns"))


@draw.given(st.lists(st.text("0123456789-:T .+eEnaifZx/", max_size=20), max_size=9))
def test_casts_find_what_arrow_finds_one_by_one(texts: list[str]) -> None:
    texts += ["2024-02-29T23:59:59.5", "1e5", "-inf", "NaN", "12", "2024-05-31"]
    for target in (pa.float64(), pa.int64(), pa.timestamp("ns"), pa.date32()):
        found, wrong = cast(pa.array([*texts, None]), target)
        for text, value, bad in zip([*texts, None], found, wrong.tolist(), strict=True):
            try:
                alone = pc.cast(pa.array([text]), target)[0]
            except pa.ArrowInvalid:
                assert bad and not value.is_valid
            else:
                assert not bad and (value.equals(alone) or str(value.as_py()) == "nan")
