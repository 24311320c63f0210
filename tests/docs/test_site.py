"""README and the site: length, links, what a page must name, and a build without warnings."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from embedrec.data.ranking_metrics import RANKED_METRICS
from embedrec.evaluation.beyond_accuracy import AGGREGATE_METRICS, LIST_METRICS
from embedrec.models import MODELS
from tests.docs.markdown import PAGES, ROOT

README = (ROOT / "README.md").read_text()


def test_readme_is_short() -> None:
    assert len(README.splitlines()) <= 200


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_a_page_links_to_exists(page: Path) -> None:
    generated = {"cli.md", "models.md", "python.md", "benchmarks-models.md"}  # see scripts/reference.py
    for link in re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text()):
        assert (page.parent / link).exists() or Path(link).name in generated, link


def test_the_table_of_models_names_every_model() -> None:
    (table,) = re.findall(r"## Which model for what\n(.*?)\n## ", README, flags=re.S)
    rows = [row.split("|")[2:4] for row in table.splitlines() if row.startswith("| ") and "`" in row]
    named = [name for row in rows for column in row for name in re.findall(r"`([\w-]+)`", column)]
    assert set(named) == set(MODELS)


def test_the_page_of_metrics_names_every_metric() -> None:
    named = set(re.findall(r"^\| `(\w+)", (ROOT / "docs" / "reference" / "metrics.md").read_text(), flags=re.M))
    assert named == {*RANKED_METRICS, *AGGREGATE_METRICS, *LIST_METRICS, "r_precision"}


def test_the_site_builds_without_warnings(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="the extra docs is not installed")
    command = [str(ROOT / "scripts" / "docs"), "--site-dir", str(tmp_path / "site")]
    env = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    pages = {path.relative_to(tmp_path / "site").as_posix() for path in (tmp_path / "site").rglob("*.html")}
    assert {"index.html", "reference/cli.html", "reference/models.html", "reference/python.html"} <= pages
    python = (tmp_path / "site" / "reference" / "python.html").read_text()
    assert "<td><code>vectors</code></td>" in python  # columns of a docstring are a table
    assert '<span class="gp">&gt;&gt;&gt; </span>' in python and "<blockquote>" not in python  # examples are code
    for page in (tmp_path / "site").rglob("*.html"):  # nothing is loaded from another host
        assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"?https?://", page.read_text()), page
