"""Every script of examples/ runs in an empty folder, and prints and writes what its tutorial shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from embedrec.datasets.synthetic import make_world, write_shop

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(folder: Path, *command: str, code: int = 0) -> tuple[str, str]:
    """stdout and stderr of a command in a folder, with `embedrec` on its path; it must end with that exit code."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    program = programs / "embedrec"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m embedrec "$@"\n')
    program.chmod(0o755)
    root = str(EXAMPLES.parent)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": root}
    process = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == code, process.stderr
    return process.stdout, process.stderr


def recalls(printed: str) -> dict[str, float]:
    """Model → the recall that a script prints."""
    return {name: float(value) for name, value in re.findall(r"^(\S+) +recall@20 ([0-9.]+)", printed, flags=re.M)}


def test_similar_artists_are_of_the_same_genre(tmp_path: Path) -> None:
    printed, _ = run(tmp_path, sys.executable, str(EXAMPLES / "similar_artists.py"), "similar.txt")
    recall = recalls(printed)
    assert min(recall["word2vec"], recall["cooccurrence"]) > 2 * recall["popular"] > 0
    seeds = re.findall(r"^\S.* \[(.*)\]\n((?:  .*\n){5})", printed, flags=re.M)
    assert len(seeds) == 3
    for genre, similar in seeds:
        assert re.findall(r"\[(.*)\]", similar) == [genre] * 5
    assert len((tmp_path / "similar.txt").read_text().splitlines()) == 600


def test_next_clicks_are_of_the_same_genre(tmp_path: Path) -> None:
    printed, _ = run(tmp_path, sys.executable, str(EXAMPLES / "next_clicks.py"), "shop")
    recall = recalls(printed)
    assert min(recall[name] for name in ("vsknn", "sr", "ar")) > 2 * recall["popular"] > 0
    rows = (line.split(",") for line in (tmp_path / "shop" / "products.csv").read_text().splitlines())
    genre = {row[0]: row[3] for row in rows}
    recommendations = re.findall(r"^(.*) → (.*)$", printed, flags=re.M)
    assert [history for history, _ in recommendations] == ["R0001 R0002", "R0120"]
    for history, items in recommendations:
        same = [genre[item] == genre[history.split()[0]] for item in items.split()]
        assert len(same) == 5 and sum(same) >= 4


def test_the_nightly_job_replaces_lists_only_by_similar_ones(tmp_path: Path) -> None:
    for name in ("nightly.toml", "nightly.sh"):
        (tmp_path / name).write_text((EXAMPLES / "nightly" / name).read_text())
    write_shop(make_world(seed=0, genres=8, artists_per_genre=12, playlists=2000), tmp_path / "shop")
    lists = tmp_path / "similar.tsv"
    run(tmp_path, "bash", "nightly.sh", "shop")
    first = lists.read_text()
    assert len(first.splitlines()) == 283 * 20

    write_shop(make_world(seed=0, genres=8, artists_per_genre=12, playlists=2200), tmp_path / "shop")
    run(tmp_path, "bash", "nightly.sh", "shop")  # more clicks of the same shop
    second = lists.read_text()
    assert second != first

    clicks = tmp_path / "shop" / "clicks.csv"
    clicks.write_text("\n".join(clicks.read_text().splitlines()[:1000]))  # a log that was cut off
    _, messages = run(tmp_path, "bash", "nightly.sh", "shop", code=1)
    assert "below --fail-under 0.6" in messages and "similar.tsv is unchanged" in messages
    assert lists.read_text() == second


def test_the_tutorial_shows_the_files_of_the_nightly_job() -> None:
    page = (EXAMPLES.parent / "docs" / "tutorials" / "notebook-to-nightly-job.md").read_text()
    assert (EXAMPLES / "nightly" / "nightly.sh").read_text() in page
    settings = (EXAMPLES / "nightly" / "nightly.toml").read_text()
    assert settings[settings.index("[prepare]") :] in page
