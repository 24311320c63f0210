"""`embedrec demo`: the pipeline on MovieLens or on synthetic data."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from tests.cli.conftest import Run, fails
from tests.html_report.reading import read_page


def test_the_toy_demo_runs_on_a_terminal(tmp_path: Path) -> None:
    """No line of the result contains the progress bar, and the workspace contains the named artifacts."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "embedrec", "demo", "--toy", "--into", str(tmp_path / "demo")]
    shown = b""
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env={**os.environ, "COLUMNS": "80"}) as process:
        os.close(theirs)
        try:
            while piece := os.read(ours, 10_000):
                shown += piece
        except OSError:  # the process closed the terminal
            pass
    os.close(ours)
    assert process.returncode == 0
    lines = shown.decode().replace("\r", "\n").split("\n")
    results = [line for line in lines if "exported " in line or "trained " in line or "similar to" in line]
    assert len(results) == 5
    assert not [line for line in results if "━" in line]
    exported = (tmp_path / "demo" / "similar.txt").read_text().splitlines()
    assert f"exported  {len(exported):,} lines of neighbours to {tmp_path}/demo/similar.txt" in "".join(results)
    assert all(len(line.split(" ")) == 21 for line in exported)
    for folder in ("sessions/all", "sessions/train", "models/word2vec", "models/mf", "indexes/mf-ivf"):
        assert (tmp_path / "demo" / folder / "manifest.json").is_file()
    text = " ".join(re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode()).split())
    assert re.search(r"word2vec is best: recall@20 0\.[0-9]+ \(95% interval [^)]+\); .*\bpopular are worse\.", text)
    page = tmp_path / "demo" / "report.html"
    assert f"python3 -m webbrowser {page.as_uri()}" in text[-200 - len(page.as_uri()) :]
    assert {"data", "comparison", "near", "map"} & set(read_page(page.read_text(encoding="utf-8")).ids)


def test_toy_and_data_exclude_each_other(run: Run, tmp_path: Path) -> None:
    message = fails(run, "demo", "--toy", "--data", tmp_path, "--into", tmp_path / "demo", code=2)
    assert message == "Error: --toy and --data are mutually exclusive; give one of them"
    assert not (tmp_path / "demo").exists()


def test_a_folder_without_movielens_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    result = run("demo", "--data", tmp_path / "films", "--into", tmp_path / "demo")
    assert result.code == 1 and result.out.startswith("MovieLens 100K: 943 people")
    first, last = result.err.splitlines()
    assert first == f"MovieLens from {tmp_path}/films"
    assert last.startswith("embedrec: ") and str(tmp_path / "films") in last
    assert not (tmp_path / "demo" / "sessions").exists()
