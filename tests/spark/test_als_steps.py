"""The files that tasks of an iteration read; `test_als` compares what they compute with one machine."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from embedrec.errors import DataError
from embedrec.spark.als_steps import HalfStep


def test_a_file_with_too_few_vectors_is_an_error(tmp_path: Path) -> None:
    step: Any = SimpleNamespace(width=16, path=lambda name: tmp_path / name)
    np.arange(32, dtype=np.float32).tofile(tmp_path / "two")
    out = np.empty((1, 16), dtype=np.float32)
    HalfStep.read_rows(step, "two", 1, out)
    assert out.tolist() == [list(range(16, 32))]
    with pytest.raises(DataError, match=r"two has too few vectors; run the command again$"):
        HalfStep.read_rows(step, "two", 1, np.empty((2, 16), dtype=np.float32))
