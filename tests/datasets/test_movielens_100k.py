"""MovieLens 100K from a wheel: pip installs from a folder of this test, whose files have checksums of their own."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from embedrec.datasets import movielens_100k as module
from embedrec.datasets.movielens_100k import movielens_100k, user_cache
from embedrec.errors import DataError

FILES = {"ml-100k.inter": b"user_id:token\titem_id:token\n1\t2\n", "ml-100k.item": b"item_id:token\n2\n"}
INSTEAD = "give the folder of MovieLens 100K with --data, or run `embedrec demo --toy`"
INSIDE = "recbole/dataset_example/ml-100k/"


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which pip looks for packages."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CONSTRAINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setattr(module, "_FILES", {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()})
    return folder


def write_wheel(folder: Path, files: dict[str, bytes]) -> Path:
    path = folder / "recbole-1.2.1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        about = "recbole-1.2.1.dist-info/"
        archive.writestr(f"{about}METADATA", "Metadata-Version: 2.1\nName: recbole\nVersion: 1.2.1\n")
        archive.writestr(f"{about}WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}RECORD", "")
        for name, data in files.items():
            archive.writestr(INSIDE + name, data)
    return path


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_files_are_extracted_from_the_wheel_and_cached(wheels: Path, tmp_path: Path) -> None:
    wheel = write_wheel(wheels, {**FILES, "ml-100k.user": b"1"})
    folder = movielens_100k(tmp_path / "cache")
    assert folder == tmp_path / "cache" / "ml-100k"
    assert content(folder) == FILES
    wheel.unlink()
    assert movielens_100k(tmp_path / "cache") == folder


def test_a_damaged_or_missing_file_of_the_cache_is_downloaded_again(wheels: Path, tmp_path: Path) -> None:
    write_wheel(wheels, FILES)
    folder = tmp_path / "ml-100k"
    folder.mkdir()
    (folder / "ml-100k.inter").write_bytes(FILES["ml-100k.inter"])
    assert content(movielens_100k(tmp_path)) == FILES
    (folder / "ml-100k.item").write_bytes(FILES["ml-100k.item"][:-1])
    assert content(movielens_100k(tmp_path)) == FILES


def test_a_failed_download_is_an_error_that_names_two_other_ways(wheels: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError) as raised:
        movielens_100k(tmp_path / "cache")
    pip = "No matching distribution found for recbole==1.2.1"
    assert str(raised.value) == f"MovieLens 100K could not be downloaded (pip: {pip}); {INSTEAD}"
    assert not (tmp_path / "cache").exists()


def test_a_file_with_another_checksum_is_refused(wheels: Path, tmp_path: Path) -> None:
    write_wheel(wheels, {**FILES, "ml-100k.item": b"other"})
    with pytest.raises(DataError) as raised:
        movielens_100k(tmp_path)
    name = "recbole-1.2.1-py3-none-any.whl"
    assert str(raised.value) == f"ml-100k.item in {name} has an unexpected checksum; {INSTEAD}"
    assert not (tmp_path / "ml-100k" / "ml-100k.item").exists()


def test_a_wheel_without_the_files_is_refused(wheels: Path, tmp_path: Path) -> None:
    write_wheel(wheels, {})
    with pytest.raises(DataError) as raised:
        movielens_100k(tmp_path)
    assert str(raised.value) == (
        f'recbole-1.2.1-py3-none-any.whl does not contain {INSIDE}ml-100k.inter ("There is no item named '
        f"'{INSIDE}ml-100k.inter' in the archive\"); {INSTEAD}"
    )


def test_no_module_of_the_current_folder_replaces_pip(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_wheel(wheels, FILES)
    (tmp_path / "pip.py").write_text("raise SystemExit('planted')\n")
    monkeypatch.chdir(tmp_path)
    assert content(movielens_100k(tmp_path / "cache")) == FILES


def test_the_cache_is_in_the_folder_of_the_environment_or_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert user_cache() == Path("/caches/embedrec")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "/home/ann")
    assert user_cache() == Path("/home/ann/.cache/embedrec")
