"""Child interpreters do not import from the current folder; the path and the environment are restored."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import embedrec
from embedrec.runtime.child_interpreters import command, leave_current_folder_out, safe_children


def test_python_m_from_a_checkout_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of the package moves to the end of the path, where child processes find it."""
    home = Path(embedrec.__file__).parents[1]
    monkeypatch.chdir(home)
    monkeypatch.setattr(sys, "path", [str(home), "/elsewhere"])
    leave_current_folder_out()
    assert sys.path == ["/elsewhere", str(home)]


@pytest.mark.parametrize("first", ["", "HERE"])
def test_the_current_folder_is_not_on_the_path(first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path) if first else "", "/elsewhere"])
    leave_current_folder_out()
    assert sys.path == ["/elsewhere"]
    leave_current_folder_out()  # the first entry is no longer the current folder
    assert sys.path == ["/elsewhere"]


def test_children_do_not_import_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    code = "import sys; print('' in sys.path)"
    assert subprocess.check_output(command("-c", code), text=True) == "False\n"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "True\n"
    with safe_children():
        assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"
    assert "PYTHONSAFEPATH" not in os.environ


def test_interpreters_are_started_in_one_place() -> None:
    """So that every child is started with `command`."""
    package = Path(embedrec.__file__).parent
    starting = {str(p.relative_to(package)) for p in package.rglob("*.py") if "sys.executable" in p.read_text()}
    assert starting == {"runtime/child_interpreters.py"}


def test_a_removed_current_folder_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "removed"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    monkeypatch.setattr(sys, "path", ["/elsewhere"])
    leave_current_folder_out()
    assert sys.path == ["/elsewhere"]
    sys.path.insert(0, "")
    leave_current_folder_out()
    assert sys.path == ["/elsewhere"]


def test_a_path_without_the_current_folder_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with `-P`, where the first entry is one that the user gave; and an empty path."""
    monkeypatch.chdir(tmp_path)
    for path in ([], ["/elsewhere", ""], ["/elsewhere", str(tmp_path)]):
        monkeypatch.setattr(sys, "path", list(path))
        leave_current_folder_out()
        assert sys.path == path
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); before = [*sys.path]\n"
    code += f"sys.path.append({str(Path(embedrec.__file__).parents[1])!r})\n"
    code += "from embedrec.runtime.child_interpreters import leave_current_folder_out\n"
    code += "leave_current_folder_out(); print(sys.path[: len(before)] == before)"
    assert subprocess.check_output(command("-c", code), text=True) == "True\n"


@pytest.mark.parametrize("before", [None, "", "0", "1"])
def test_the_environment_is_restored_also_after_an_exception(
    before: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if before is None:
        monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    else:
        monkeypatch.setenv("PYTHONSAFEPATH", before)
    with pytest.raises(KeyError, match="lost"), safe_children():
        assert os.environ["PYTHONSAFEPATH"] == "1"
        raise KeyError("lost")
    assert os.environ.get("PYTHONSAFEPATH") == before


def test_the_command_is_this_interpreter() -> None:
    assert command("-m", "pip", "--version") == [sys.executable, "-P", "-m", "pip", "--version"]


def test_only_loaded_modules_are_imported_before_the_current_folder_is_off_the_path() -> None:
    """The interpreter is bare, because the site packages of an editable installation load more modules."""
    home = str(Path(embedrec.__file__).parents[1])
    code = f"import runpy, sys; sys.path.append({home!r}); before = {{*sys.modules}}\n"
    code += "import embedrec.runtime.child_interpreters; print(*sorted({*sys.modules} - before))"
    loaded = subprocess.check_output([sys.executable, "-I", "-S", "-c", code], text=True).split()
    assert loaded == ["embedrec", "embedrec.runtime", "embedrec.runtime.child_interpreters", "embedrec.version"]
