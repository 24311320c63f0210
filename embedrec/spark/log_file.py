"""The log of Spark: what its Java process prints goes to a file, which is removed at the end unless Spark has failed.

A process has one Java process for all its sessions of Spark, and one log.
"""

from __future__ import annotations

import atexit
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark import SparkConf

LEVEL = "spark.log.level"
_logs: list[Path] = []  # the log of this process, if it has one


def start_java(conf: SparkConf) -> None:
    """Start the Java process of a session with these settings, with its output in a log; nothing if there is one."""
    from pyspark import SparkContext
    from pyspark.java_gateway import launch_gateway

    if SparkContext._gateway is not None or "PYSPARK_GATEWAY_PORT" in os.environ:  # of spark-submit
        return
    descriptor, name = tempfile.mkstemp(prefix="embedrec-spark-", suffix=".log")
    _logs.append(Path(name))
    atexit.register(_remove, Path(name))
    try:
        gateway = launch_gateway(conf, {"stdout": descriptor, "stderr": descriptor})
    finally:
        os.close(descriptor)
    SparkContext._ensure_initialized(gateway=gateway)


def kept_log() -> str:
    """Where the log is, for the message of an error; it is not removed."""
    if not _logs:
        return "its log has the details"
    atexit.unregister(_remove)
    return f"its log is {_logs[-1]}"


def _remove(log: Path) -> None:
    log.unlink(missing_ok=True)
