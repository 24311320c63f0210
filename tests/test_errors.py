from __future__ import annotations

import sys
from pathlib import Path

import pytest

from embedrec.errors import SettingsError, need_package


def test_a_package_that_is_there_is_needed_silently() -> None:
    need_package("torch", "training gru4rec")


def test_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(SettingsError) as error:
        need_package("torch", "training gru4rec")
    assert str(error.value) == (
        "training gru4rec needs the package torch; install it with `pip install 'embedrec[torch]'`"
    )


def test_a_package_that_is_broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "umap.py").write_text("from umap_core import run\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SettingsError) as error:
        need_package("umap", "the map")
    assert str(error.value) == (
        "the map needs the package umap, which cannot be imported (No module named 'umap_core'); "
        "install it with `pip install 'embedrec[umap]'`"
    )
