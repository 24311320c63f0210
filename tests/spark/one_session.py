"""Sessions of Spark for tests: one in this process, and clusters of executor processes in processes of their own.

`tests/conftest.py` offers the fixture to all tests, of which several rooms compute on Spark.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
_BRIEF_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # half the processor time of a process of a minute
SMALL = {  # settings that start in seconds and take little memory
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "4",
    "spark.driver.memory": "512m",
    "spark.driver.extraJavaOptions": _BRIEF_JAVA,
    "spark.executor.extraJavaOptions": _BRIEF_JAVA,
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.executorEnv.PYTHONPATH": str(ROOT),  # tasks of tests are in modules of tests
    "spark.executorEnv.AWS_ACCESS_KEY_ID": "key",  # of `tests.storage.s3`
    "spark.executorEnv.AWS_SECRET_ACCESS_KEY": "secret",
}


def missing() -> str:
    """Why there is no Spark, "" if there is."""
    if importlib.util.find_spec("pyspark") is None:
        return "the extra `spark` is not installed"
    if not os.environ.get("JAVA_HOME") and shutil.which("java") is None:
        return "there is no Java"
    return ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with the marker are skipped without Spark."""
    why = missing()
    for item in items:
        if why and item.get_closest_marker("spark") is not None:
            item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A session with two threads; it is the active one of this process until the last test."""
    from embedrec.spark.session import SparkSettings, spark_session

    local = {
        "spark.local.dir": str(tmp_path_factory.mktemp("spark")),
        "spark.sql.codegen.wholeStage": "false",  # compiling a query takes longer than running it on so few rows
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.adaptive.enabled": "false",
    }
    with spark_session(SparkSettings("local[2]", {**SMALL, **local})) as session:
        yield session


def on_cluster(code: str, *arguments: object, master: str = "local-cluster[2,1,1024]") -> str:
    """The output of a script that runs in a process of its own, with executors in processes of 1 GB.

    code  begins with the variables `settings`, a SparkSettings, and `arguments`, a list of texts
    """
    conf = {**SMALL, "spark.executor.memory": "1g"}
    begin = (
        "import sys\nfrom embedrec.spark.session import SparkSettings, spark_session\n"
        f"settings, arguments = SparkSettings({master!r}, {conf!r}), sys.argv[1:]\n"
    )
    command = [sys.executable, "-c", begin + code, *map(str, arguments)]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
