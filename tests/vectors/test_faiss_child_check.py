"""Index files that a child process reads, searches or changes first."""

from __future__ import annotations

import re
from pathlib import Path

import faiss
import numpy as np
import pytest

from embedrec.data import Vocab
from embedrec.errors import ArtifactError, DataError
from embedrec.index import update
from embedrec.index.construct import construct_index
from embedrec.index.serialization import load_index, save_index
from embedrec.storage import artifacts
from embedrec.vectors import faiss_child_check
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.faiss_child_check import try_change, try_search
from embedrec.vectors.faiss_file_check import UnknownTypeError, parse_file
from tests.conftest import some_embeddings
from tests.test_corruption import sign

D = 6


@pytest.mark.parametrize("kind", ["Flat", "HNSW8", "NSG8"])
def test_valid_files_pass(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "index.faiss"
    faiss.write_index(construct_index(some_embeddings(200, D, "l2"), kind).faiss, str(path))
    content = path.read_bytes()
    try_search(path)
    try_change(path)  # a type that cannot be changed fails later, in the process that changes it
    assert path.read_bytes() == content


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "index.faiss"
    path.write_bytes(b"not an index")
    for attempt, action in ((try_search, "open and search"), (try_change, "change")):
        with pytest.raises(DataError, match=rf"FAISS cannot {re.escape(action)} index\.faiss: \S+"):
            attempt(path)


def test_unknown_types_are_searched_in_a_child_process_first(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    save_index(construct_index(some_embeddings(200, D, "l2"), "NSG8"), folder, {})
    path = folder / "index.faiss"
    with pytest.raises(UnknownTypeError):
        parse_file(path)
    index = load_index(artifacts.read(folder))
    assert index.search(index.embeddings.vectors[:3], 1).rows[:, 0].tolist() == [0, 1, 2]
    path.write_bytes(path.read_bytes()[:300])
    sign(folder)
    with pytest.raises(
        ArtifactError, match=r"x cannot be opened \((FAISS cannot open and search index.faiss|index.faiss crashed)"
    ):
        load_index(artifacts.read(folder))


def test_unknown_types_are_changed_in_a_child_process_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = construct_index(some_embeddings(200, D, "l2"), "LSH")
    assert len(update.add(index, Embeddings(np.ones((1, D)), Vocab(["new"]), "l2"))) == 201
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    monkeypatch.setattr(faiss_child_check, "CHANGE_SCRIPT", crash)
    with pytest.raises(DataError, match=r"index\.faiss crashed the child process that tried to change it"):
        update.remove(index, ["i3"])
    known = construct_index(some_embeddings(200, D, "l2"), "HNSW8")
    assert len(update.remove(known, ["i3"])) == 199
