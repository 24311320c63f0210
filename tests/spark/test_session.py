"""Sessions of Spark: what can go wrong is one sentence."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from embedrec.errors import ArtifactError, DataError, SettingsError
from embedrec.spark import session
from embedrec.spark.session import (
    SparkSettings,
    check_executors,
    check_java,
    check_master,
    check_shared,
    spark_session,
    translated,
    translating,
)
from tests.spark.one_session import on_cluster

needs_spark = pytest.mark.spark


def test_no_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError, match=r"needs Java 17 or newer, but there is no java on the PATH; install it"):
        check_java()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(SettingsError) as caught:
        check_java()
    assert str(caught.value) == f"the engine spark needs Java, but JAVA_HOME ({tmp_path}) has no bin/java; correct it"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").touch(stat.S_IRWXU)
    check_java()


def test_no_pyspark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with (
        pytest.raises(
            SettingsError, match=r"engine spark needs the package pyspark.*`pip install 'embedrec\[spark\]'`"
        ),
        spark_session(SparkSettings()),
    ):
        pass


def test_a_master_that_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        check_master(f"spark://127.0.0.1:{port}")
        check_master(f"spark://127.0.0.1:1,127.0.0.1:{port}")
    with pytest.raises(
        SettingsError, match=rf"no Spark master can be reached at spark://127\.0\.0\.1:{port} \(.*; start it"
    ):
        check_master(f"spark://127.0.0.1:{port}")
    with pytest.raises(SettingsError, match="'spark://nothing' is not spark://HOST:PORT; check --master"):
        check_master("spark://nothing")
    check_master("local[2]")
    check_master(None)


@needs_spark
def test_the_active_session_is_taken(spark: Any) -> None:
    with spark_session(SparkSettings()) as given, spark_session(SparkSettings("local[2]")) as other:
        assert given.sparkContext is other.sparkContext is spark.sparkContext
    assert spark.range(3).count() == 3  # it goes on
    message = r"has spark\.master = local\[2\], not local\[3\]; stop it, or leave"
    with pytest.raises(SettingsError, match=message), spark_session(SparkSettings("local[3]")):
        pass


@needs_spark
def test_executors_are_checked(spark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    check_executors(spark)
    monkeypatch.setattr(session, "__version__", "0.0.0")
    with pytest.raises(
        SettingsError, match=r"the executor on .* has embedrec .*, but the driver 0\.0\.0; ship it with"
    ):
        check_executors(spark)


@needs_spark
def test_a_folder_that_executors_may_not_write_to(spark: Any, tmp_path: Path) -> None:
    check_shared(spark, tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DataError, match=r"nothing cannot be written to \(No such file or directory\); choose another"):
        check_shared(spark, tmp_path / "nothing")


@needs_spark
def test_errors_of_executors_keep_their_class_and_sentence(spark: Any) -> None:
    def fail(batches: Any) -> Any:
        raise ArtifactError("this is wrong; do that")
        yield from batches

    with pytest.raises(ArtifactError) as caught, translating():
        spark.range(3).mapInArrow(fail, "id long").collect()
    assert str(caught.value) == "this is wrong; do that"


@needs_spark
def test_other_errors_of_spark_are_one_sentence(spark: Any, tmp_path: Path) -> None:
    missing = r"^Spark finds no file \(.*nothing.*\); check the paths; its log is .*/embedrec-spark-\w+\.log$"
    with pytest.raises(DataError, match=missing), translating():
        spark.read.parquet(str(tmp_path / "nothing")).collect()

    def fail(batches: Any) -> Any:
        raise ValueError("an odd value")
        yield from batches

    with pytest.raises(DataError, match=r"^Spark failed \(.*an odd value\); its log is .*\.log$"), translating():
        spark.range(3).mapInArrow(fail, "id long").collect()
    with pytest.raises(KeyError), translating():
        raise KeyError("own")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Job aborted: ExecutorLostFailure (executor 1 exited)", "Spark lost its executors (Job aborted: "),
        (
            "x\nCaused by: java.io.IOException: No space left on device",
            "Spark has no space left on a disk (IOException: ",
        ),
        (
            "x\nCaused by: org.x.AccessControlException: Permission denied: y",
            "Spark may not use a path (AccessControlEx",
        ),
    ],
)
def test_sentences(text: str, sentence: str) -> None:
    assert str(translated(RuntimeError(text))).startswith(sentence)


@needs_spark
def test_executors_of_another_python_and_without_embedrec(tmp_path: Path) -> None:
    code = """
from dataclasses import replace
from embedrec.errors import SettingsError
settings = replace(settings, conf={**settings.conf, "spark.pyspark.python": arguments[0]})
try:
    with spark_session(settings): print("started")
except SettingsError as e: print(e)
"""
    out = on_cluster(code, tmp_path / "python", master="local[1]")
    assert out == (
        f"the executors have no interpreter {tmp_path}/python; name it with `--spark-conf spark.pyspark.python=PATH`\n"
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    bare = tmp_path / "bare"
    pyspark = Path(shutil.which("spark-submit") or "").parent
    bare.write_text(f'#!/bin/sh\nexport PYTHONPATH="$PYTHONPATH"\ncd {empty}\nexec {sys._base_executable} "$@"\n')  # type: ignore[attr-defined]
    bare.chmod(0o755)
    out = on_cluster(code, bare, master="local[1]")
    assert "the executors cannot import" in out and "docs/how-to/spark.md" in out, (out, pyspark, os.environ.get("X"))


@needs_spark
def test_workers_do_not_import_from_the_current_folder(spark: Any) -> None:
    def path(_: int) -> tuple[bool, bool]:
        return sys.flags.safe_path, sys.path[0] in ("", str(Path.cwd()))

    assert spark.sparkContext.parallelize([0], 1).map(path).collect() == [(True, False)]
