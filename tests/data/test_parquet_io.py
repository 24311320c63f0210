"""Vocabularies in files: written part by part, read as they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st

from embedrec.data import parquet_io
from embedrec.data.parquet_io import load_ids, load_vocab, save_ids, save_vocab
from embedrec.data.vocab import Vocab
from tests.data import strategies as draw


@draw.given(st.lists(draw.texts, unique=True, max_size=12), st.integers(1, 5), st.integers(1, 9), st.integers(1, 3))
def test_row_groups_do_not_change_the_vocabulary(
    tmp_path: Path, ids: list[str], rows: int, characters: int, looked_at: int
) -> None:
    names = np.array([f"name {i}" for i in ids], dtype=object)
    vocab = Vocab(np.array(ids, dtype=object), names, np.arange(len(ids)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet_io, "GROUP_ROWS", rows)
        patch.setattr(parquet_io, "GROUP_CHARACTERS", characters)
        patch.setattr(parquet_io, "COUNTED_ROWS", looked_at)
        save_vocab(vocab, tmp_path / "vocab.parquet")
        save_ids(vocab.ids, tmp_path / "ids.parquet")
    result = load_vocab(tmp_path / "vocab.parquet")
    assert (result.ids.tolist(), result.counts.tolist()) == (ids, list(range(len(ids))))  # type: ignore[union-attr]
    assert result.names.tolist() == names.tolist()  # type: ignore[union-attr]
    assert load_ids(tmp_path / "ids.parquet").tolist() == ids


def test_long_strings_have_their_own_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_io, "GROUP_CHARACTERS", 1000)
    monkeypatch.setattr(parquet_io, "COUNTED_ROWS", 1)
    save_ids(np.array(["x" * 600] * 6, dtype=object), tmp_path / "ids.parquet")
    assert pq.ParquetFile(tmp_path / "ids.parquet").metadata.num_row_groups == 3
    save_ids(np.arange(6000), tmp_path / "numbers.parquet")
    assert pq.ParquetFile(tmp_path / "numbers.parquet").metadata.num_row_groups == 1
