"""Changes of an index artifact: its items, its features and its messages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embedrec.data import Vocab
from embedrec.data.item_filter import IdList
from embedrec.errors import SettingsError, UnknownItemError
from embedrec.index.serialization import load_index
from embedrec.storage.workspace import Workspace
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.file_formats import save_vectors
from embedrec.workflows.update_index import ChangedIndex, Changes, change_index


def apply_changes(workspace: Workspace, changes: Changes) -> ChangedIndex:
    return change_index(workspace.find("index", "flat"), workspace.folder("index", "flat"), changes)


def test_items_are_added_replaced_and_removed(plays: Workspace, tmp_path: Path) -> None:
    save_vectors(Embeddings(np.array([[0.6, -0.8]], np.float32), Vocab(["e"])), tmp_path / "new.parquet")
    save_vectors(Embeddings(np.array([[0, -1]], np.float32), Vocab(["b"])), tmp_path / "old.parquet")
    ids = IdList.read("gone.txt", b"d\nz\n")
    result = apply_changes(plays, Changes(remove=ids, replace=tmp_path / "old.parquet", add=tmp_path / "new.parquet"))
    assert {key: result.row[key] for key in ("items", "added", "replaced", "removed")} == {
        "items": 4, "added": 1, "replaced": 1, "removed": 1
    }  # fmt: skip
    assert result.messages == ["1 of the 2 ids in gone.txt are not in the index"]
    index = load_index(result.artifact)
    assert sorted(index.vocab.ids.tolist()) == ["a", "b", "c", "e"]
    nearest = index.search(np.array([[0, -1]], np.float32), 2)
    assert index.vocab.ids[nearest.rows[0]].tolist() == ["b", "e"]
    (change,) = result.artifact.about["changes"]
    assert (change["added"], change["compacted"], change["of"]["name"]) == (1, False, "flat")


def test_a_compact_index_has_no_tombstones(plays: Workspace) -> None:
    result = apply_changes(plays, Changes(remove=IdList.read("ids", b"a\n"), compact=True))
    assert (result.row["items"], result.row["tombstones"]) == (3, 0)
    assert load_index(result.artifact).faiss.ntotal == 3


def test_an_index_is_updated_to_the_vectors_of_a_model(plays: Workspace) -> None:
    result = apply_changes(plays, Changes(model=plays.find("model", "vectors")))
    assert (result.row["replaced"], result.row["added"], result.row["removed"]) == (4, 0, 0)
    assert result.artifact.about["indexed"]["name"] == "vectors"


def test_invalid_changes_are_refused(plays: Workspace) -> None:
    with pytest.raises(SettingsError) as error:
        Changes()
    assert str(error.value) == "no changes given; use --add, --replace, --remove, --model or --compact"
    with pytest.raises(SettingsError, match="--align needs the vectors of a model; name it with --model"):
        Changes(align=True, compact=True)
    with pytest.raises(UnknownItemError, match=r"none of the 1 ids in gone\.txt are in the index; check them"):
        apply_changes(plays, Changes(remove=IdList.read("gone.txt", b"z\n")))
