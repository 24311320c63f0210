"""The settings of a refresh: a TOML table under the options of the command."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedrec.errors import SettingsError
from embedrec.evaluation.drift_gate import NO_GATE, Gate
from embedrec.workflows.refresh.settings import RefreshSettings, refresh_settings


def test_options_override_the_file(tmp_path: Path) -> None:
    file = tmp_path / "refresh.toml"
    file.write_text("[refresh]\nmin_overlap = 0.7\nkeep_days = 90\n")
    settings = refresh_settings(file, {"keep_days": 30.0, "workspace": "not a setting"})
    assert (settings.min_overlap, settings.keep_days) == (0.7, 30.0)
    assert settings.thresholds == Gate(0.7) and refresh_settings(None, {}) == RefreshSettings()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[refersh]\nk = 3\n", "but has 'refersh'; did you mean 'refresh'"),
        ("", "but has none"),
        ("[refresh]\nmin_overlp = .7\n", "unknown setting 'min_overlp' in .*; did you mean 'min_overlap'"),
        ("[refresh]\nmin_overlap = 7\n", "min_overlap must be between 0 and 1, but is 7"),
        ("[refresh]\nkeep_days = 0\n", "keep_days must be at least"),
    ],
)
def test_wrong_files_are_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "refresh.toml").write_text(text.replace("= .7", "= 0.7"))
    with pytest.raises(SettingsError, match=message):
        refresh_settings(tmp_path / "refresh.toml", {})


def test_the_gate_can_be_switched_off() -> None:
    assert RefreshSettings(gate=False).thresholds == NO_GATE
    assert RefreshSettings().thresholds == Gate()


def test_thresholds_do_not_change_what_is_staged() -> None:
    assert RefreshSettings(min_overlap=0.1).content == RefreshSettings().content
    assert RefreshSettings(align=False).content != RefreshSettings().content
