from __future__ import annotations

import sys
from pathlib import Path

import pytest

from embedrec.errors import SettingsError, need_package


def test_a_package_that_is_there_is_needed_silently() -> None:
    need_package("numpy", "counting", "numpy")


def test_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(SettingsError) as error:
        need_package("torch", "training gru4rec", "torch")
    assert str(error.value) == "training gru4rec needs the package torch; install it with `pip install torch`"
    with pytest.raises(SettingsError, match=r"install it with `pip install 'embedrec\[rank\]'`$"):
        need_package("torch", "ranking", "embedrec[rank]")


def test_a_package_that_is_broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "halfpackage.py").write_text("from halfpackage_core import run\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SettingsError) as error:
        need_package("halfpackage", "plotting", "halfpackage")
    assert str(error.value) == (
        "plotting needs the package halfpackage, which cannot be imported (No module named 'halfpackage_core'); "
        "install it with `pip install halfpackage`"
    )
