"""Files of vectors at URLs are copied for the time in which they are read; `tests.cli.test_urls` imports them."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedrec.errors import DataError
from embedrec.storage.remote import input_path
from embedrec.vectors.hub_folder import ITEMS, VECTORS
from embedrec.vectors.remote_files import local_vectors
from tests.storage.s3 import s3_server


def test_files_of_this_machine_are_not_copied(tmp_path: Path) -> None:
    with local_vectors(tmp_path / "v.npy", tmp_path / "models" / "v") as path:
        assert path == tmp_path / "v.npy"
    assert list(tmp_path.iterdir()) == []


def test_copies_have_the_files_beside_and_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    names = ["v.npy", "v.ids.txt", "v.npy.meta.json", "other.npy", f"hub/{VECTORS}", f"hub/{ITEMS}", "hub/other.txt"]
    with s3_server({f"b/{name}": name.encode() for name in names}) as options:
        for given, expected in (("v.npy", names[:3]), ("hub", names[4:6])):
            url = input_path(f"s3://b/{given}{options}")
            with local_vectors(url, tmp_path / "models" / "v") as path:
                folder = path if path.is_dir() else path.parent
                assert path.name == given and folder.is_relative_to(tmp_path / "models")
                found = {file.name: file.read_text() for file in folder.iterdir()}
                assert found == {name.rpartition("/")[2]: name for name in expected}
            assert list((tmp_path / "models").iterdir()) == []
        with (
            pytest.raises(DataError, match=r"^no file s3://b/none\.npy.*; check the address$"),
            local_vectors(input_path(f"s3://b/none.npy{options}"), tmp_path / "models" / "v"),
        ):
            pass
