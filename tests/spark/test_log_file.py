"""What Spark prints is in its log, not on the stderr of a command."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from embedrec.spark.log_file import LEVEL
from tests.spark.one_session import SMALL

pytestmark = pytest.mark.spark


def prepare(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`embedrec prepare` of four clicks on Spark, in a process of its own whose temporary files are in `folder/tmp`."""
    (folder / "tmp").mkdir(exist_ok=True)
    (folder / "clicks.csv").write_text("session_id,item_id\na,x\na,y\nb,x\nb,y\n")
    conf = [word for key, value in SMALL.items() for word in ("--spark-conf", f"{key}={value}")]
    words = ["prepare", "table", "clicks.csv", "--engine", "spark", "--master", "local[1]", *conf, *options]
    return subprocess.run(
        [sys.executable, "-m", "embedrec", *words],
        check=False,
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder / "tmp"), "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=300,
    )


def logs(folder: Path) -> list[Path]:
    return list((folder / "tmp").glob("embedrec-spark-*.log"))


def test_a_run_prints_only_lines_of_embedrec(tmp_path: Path) -> None:
    done = prepare(tmp_path)
    assert done.stderr.splitlines() == [
        "columns session=session_id item=item_id time=none",
        "--min-length 2 removed 0 sessions, 0 items, 0 events",
        "wrote sessions clicks (sessions/clicks)",
    ]
    assert done.returncode == 0 and logs(tmp_path) == []


def test_an_error_names_the_log(tmp_path: Path) -> None:
    wrong = ("--spark-conf", "spark.ui.enabled=perhaps")
    done = prepare(tmp_path, *wrong)
    (log,) = logs(tmp_path)
    assert done.returncode == 1 and done.stderr == (
        "embedrec: Spark could not be started with the master local[1] (SparkIllegalArgumentException: "
        "[INVALID_CONF_VALUE.TYPE_MISMATCH] The value 'perhaps' in the config \"spark.ui.enabled\" is invalid. It "
        "should be a/an 'boolean' value. SQLSTATE: 22022); check --master, --spark-conf and that Java is 17 or newer; "
        f"its log is {log}\n"
    )
    assert "SparkIllegalArgumentException" in log.read_text()
    log.unlink()
    shown = prepare(tmp_path, *wrong, "--spark-conf", f"{LEVEL}=WARN")
    assert re.search("^Using Spark's default log4j profile", shown.stderr, re.MULTILINE)
    assert shown.stderr.endswith("Java is 17 or newer; its log has the details\n") and logs(tmp_path) == []
