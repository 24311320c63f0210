"""The artists that README prints, and others that a listener would name, from real playlists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT
from tests.docs.shell import succeed


@pytest.mark.slow
def test_svd_lists_the_artists_of_readme(data_folder: Path, tmp_path: Path) -> None:
    if not (data_folder / "mpd" / "train").exists():
        pytest.skip(f"there are no playlists in {data_folder}/mpd/train")
    for command in (f"embedrec prepare mpd {data_folder}/mpd/train --level artist", "embedrec train svd"):
        succeed(command, tmp_path)
    printed = re.findall(r"(?m)^Metallica +\d  (.+?) +0\.\d{4}$", (ROOT / "README.md").read_text())
    assert len(printed) == 5
    assert similar(tmp_path, "embedrec similar Metallica --model svd -n 5") == printed
    reggae = similar(tmp_path, "embedrec similar 'Bob Marley & The Wailers' --model svd --popularity 0 -n 5")
    assert reggae[:2] == ["Jimmy Cliff", "The Wailers"] and "Matisyahu" in reggae


def similar(folder: Path, command: str) -> list[str]:
    """The names of a table of similar items."""
    return [match[1] for line in succeed(command, folder) if (match := re.search(r" 0\.\d{4}  (.+)$", line))]
