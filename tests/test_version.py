"""One version: in the package, the command line, the packaging, the changelog and the citation."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import embedrec
from embedrec.runtime.child_interpreters import command
from embedrec.version import __version__

ROOT = Path(embedrec.__file__).parents[1]


def test_the_package_and_the_command_line_have_the_same_version() -> None:
    assert embedrec.__version__ == __version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)
    shown = subprocess.check_output(command("-m", "embedrec", "--version"), text=True, cwd=ROOT)
    assert shown == f"embedrec, version {__version__}\n"


def test_packaging_reads_the_version_from_the_module() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"] and "version" not in project["project"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "embedrec.version.__version__"}


def test_the_version_equals_that_of_the_changelog_and_the_citation() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    newest = re.search(r"^## (\S+) \((\d{4}-\d\d-\d\d)\)$", changelog, re.MULTILINE)
    assert newest is not None
    assert newest[1] == __version__
    citation = (ROOT / "CITATION.cff").read_text().splitlines()
    assert f"version: {newest[1]}" in citation
    assert f"date-released: {newest[2]}" in citation
