"""Folders for the Hugging Face hub: round trips of any ids, what is never replaced, damage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from embedrec.data import Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.hub_folder import is_hub_folder, load_hub_folder, save_hub_folder


def embeddings(ids: Any, names: Any = None, counts: Any = None) -> Embeddings:
    vectors = np.arange(2 * len(ids), dtype=np.float32).reshape(-1, 2)
    return Embeddings(vectors, Vocab(ids, names, counts), "dot")


def texts(*values: str) -> np.ndarray:
    return np.array(values, dtype=object)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@example(["a\u2028b", "\r", "c\nd"])
@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=5), min_size=1, max_size=5, unique=True))
def test_ids_and_names_are_restored(tmp_path: Path, ids: list[str]) -> None:
    given_ones = embeddings(texts(*ids), texts(*ids[::-1]), np.arange(len(ids)))
    save_hub_folder(given_ones, tmp_path / "v", "# card\n", {"dim": 2})
    loaded = load_hub_folder(tmp_path / "v")
    assert loaded.vocab.ids.tolist() == ids and loaded.metric == "dot"
    assert loaded.vocab.names is not None and loaded.vocab.names.tolist() == ids[::-1]
    assert loaded.vocab.counts is not None and loaded.vocab.counts.tolist() == list(range(len(ids)))
    assert loaded.vectors.tolist() == given_ones.vectors.tolist()


def test_files_are_readable_by_other_programs(tmp_path: Path) -> None:
    assert not is_hub_folder(tmp_path / "v")
    save_hub_folder(embeddings(np.array([7, 3])), tmp_path / "v", "# card\n", {"dim": 2})
    assert is_hub_folder(tmp_path / "v")
    assert (tmp_path / "v" / "items.jsonl").read_text() == '{"id": 7}\n{"id": 3}\n'
    assert load_file(tmp_path / "v" / "vectors.safetensors")["vectors"].tolist() == [[0, 1], [2, 3]]
    assert (tmp_path / "v" / "README.md").read_text() == "# card\n"
    assert json.loads((tmp_path / "v" / "config.json").read_text()) == {"dim": 2}
    (tmp_path / "v" / "items.jsonl").unlink()
    assert load_hub_folder(tmp_path / "v").vocab.ids.tolist() == [7, 3]


def test_only_exports_are_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "v"
    for ids in ([1, 2], [3]):
        save_hub_folder(embeddings(np.array(ids)), folder, "", {})
    assert load_hub_folder(folder).vocab.ids.tolist() == [3]
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(SettingsError, match=r"has other files \(notes.txt\) and is not replaced; name a new folder"):
        save_hub_folder(embeddings(np.array([4])), folder, "", {})
    assert load_hub_folder(folder).vocab.ids.tolist() == [3]
    with pytest.raises(SettingsError, match=r"notes.txt is a file and is not replaced"):
        save_hub_folder(embeddings(np.array([4])), folder / "notes.txt", "", {})


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ('{"id": 1}\n', "has other items than"),
        ('{"id": 1}\n{"id": 3}\n', "has other items than"),
        ('{"id": 1}\n{"name": "b"}\n', "must hold one JSON object with an id per line"),
        ('{"id": 1}\n[2]\n', "must hold one JSON object with an id per line"),
        ('{"id": 1, "name": 5}\n{"id": 2}\n', "a name is not a string"),
        ('{"id": 1, "count": true}\n{"id": 2}\n', "a count is not a whole number"),
        ('{"id": 1}\n{"id"', "must hold one JSON object with an id per line"),
    ],
)
def test_damaged_tables_of_items_are_refused(tmp_path: Path, items: str, message: str) -> None:
    save_hub_folder(embeddings(np.array([1, 2])), tmp_path / "v", "", {})
    (tmp_path / "v" / "items.jsonl").write_text(items)
    with pytest.raises(DataError, match=message):
        load_hub_folder(tmp_path / "v")
