"""docs/benchmarks.md and docs/articles.md are what scripts/benchmarks.py writes."""

from __future__ import annotations

import importlib.util
import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

import pytest

from tests.docs.markdown import ROOT


@pytest.fixture(scope="module")
def benchmarks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmarks", ROOT / "scripts" / "benchmarks.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["benchmarks"] = module  # dataclasses look names up in it
    spec.loader.exec_module(module)
    del sys.modules["benchmarks"]
    return module


def test_the_pages_are_written_by_the_script(benchmarks: ModuleType) -> None:
    for page, path in benchmarks.PAGES.items():
        assert path.read_text(encoding="utf-8") == benchmarks.page_text(page), (
            "run `python scripts/benchmarks.py write`"
        )


def test_every_record_has_a_measurement_and_every_command_a_file(benchmarks: ModuleType) -> None:
    known = [one for page in benchmarks.PAGES for one in benchmarks.measurements(page)]
    names = [one.name for one in known]
    assert len(set(names)) == len(names)
    assert {path.stem for path in (benchmarks.BENCH / "records").glob("*.json")} <= set(names)
    for one in known:
        files = [word for word in shlex.split(one.command) if word.startswith(("scripts/", "configs/"))]
        assert files and all((ROOT / file).exists() for file in files), one.command


def test_a_record_precedes_the_earlier_figures(benchmarks: ModuleType, tmp_path: Path) -> None:
    one = benchmarks.Measurement("startup", "The start", "python --version", earlier="old")
    record = benchmarks.measure(one, tmp_path)
    assert record.output.startswith("Python 3.") and record.machine and len(record.date) == 10
    (tmp_path / "startup.json").write_text(json.dumps(asdict(record)), encoding="utf-8")
    assert benchmarks.record_of("startup", tmp_path) == record
    page = benchmarks.page_text("benchmarks", tmp_path)
    assert f"`python --version`, {record.date}, commit {record.commit}, " in page
    assert f"```text\n{record.output.strip()}\n```" in page
    assert "Earlier:\n\n| what |" in page and page.count("Earlier:") == 1


def test_an_experiment_shows_its_tables(benchmarks: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "plays.csv").write_text("session,item\n" + "".join(f"{s},{i}\n" for s in range(20) for i in "abc"))
    (tmp_path / "small.toml").write_text(
        '[prepare]\nsource = "table"\npaths = ["{data}/plays.csv"]\n'
        '[split]\nrule = "last-item"\n[ask]\nat = [1]\n[[train]]\nmodel = "popular"\n[compare]\n'
        '[[table]]\ntitle = "Small"\ncolumns = ["recall@1"]\nrows = [{label = "most popular", model = "popular"}]\n'
    )
    record = benchmarks.measure(
        benchmarks.Measurement("x", "X", f"embedrec run {tmp_path}/small.toml --data {{data}}"), tmp_path
    )
    assert "Small" in record.output and "| most popular |" in record.output
