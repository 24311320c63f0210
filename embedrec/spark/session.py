"""Spark sessions: made or taken over, with executors that run the same Python and the same embedrec as the driver."""

from __future__ import annotations

import os
import re
import shutil
import socket
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from embedrec import errors
from embedrec.errors import DataError, EmbedrecError, SettingsError, need_package, reason
from embedrec.runtime import child_interpreters
from embedrec.spark.log_file import LEVEL, kept_log, start_java
from embedrec.spark.tasks import numbered
from embedrec.version import __version__

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_CONF = {  # settings of new sessions, which `SparkSettings.conf` overrides
    "spark.app.name": "embedrec",
    LEVEL: "WARN",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.catalogImplementation": "in-memory",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "65536",
    "spark.executorEnv.PYTHONSAFEPATH": "1",  # no module comes from the current folder
}
_PROBES = 64  # most tasks that look at the executors
_CONNECT_SECONDS = 5.0
_SHIP = (
    "ship it with `--spark-conf spark.submit.pyFiles=embedrec.zip`, or an environment with "
    "`--spark-conf spark.archives=environment.tar.gz#environment`, see docs/how-to/spark.md"
)


@dataclass(frozen=True)
class SparkSettings:
    """Where Spark runs.

    master  "local[4]", "spark://host:7077", "yarn", "k8s://https://host:443"; None leaves it to the configuration of
            Spark, which without one is all cores of this machine
    conf    settings of Spark: "spark.executor.memory" → "4g"
    """

    master: str | None = None
    conf: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wrong = next((key for key in self.conf if not key.startswith("spark.")), None)
        if wrong is not None:
            raise SettingsError(f"settings of Spark begin with 'spark.', unlike {wrong!r}; check --spark-conf")


@contextmanager
def spark_session(settings: SparkSettings) -> Iterator[SparkSession]:
    """A session with these settings: the active one of this process, else a new one, which ends with the block.

    Raises SettingsError if pyspark or Java is missing, the master cannot be reached, the active session has other
    settings, or executors run another Python or another embedrec. What Spark raises in the block becomes an
    EmbedrecError.
    """
    need_package("pyspark", "the engine spark")
    from pyspark.sql import SparkSession

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)  # Arrow only here
        active = SparkSession.getActiveSession()
        if active is not None:
            _check_settings(active, settings)
            with translating():
                yield active
            return
        check_java()
        check_master(settings.master)
        spark = _start(settings)
        try:
            with translating():
                check_executors(spark)
                yield spark
        finally:
            spark.stop()


def check_java() -> None:
    """Raises SettingsError if there is no Java to start."""
    home = os.environ.get("JAVA_HOME")
    if home and not os.access(Path(home) / "bin" / "java", os.X_OK):
        raise SettingsError(f"the engine spark needs Java, but JAVA_HOME ({home}) has no bin/java; correct it")
    if not home and shutil.which("java") is None:
        raise SettingsError(
            "the engine spark needs Java 17 or newer, but there is no java on the PATH; install it (Debian: "
            "openjdk-17-jre-headless) or name its folder in JAVA_HOME"
        )


def check_master(master: str | None) -> None:
    """Raises SettingsError if no server of a master spark://HOST:PORT,… accepts connections.

    Spark itself would try for a minute, and then fail for another reason.
    """
    if master is None or not master.startswith("spark://"):
        return
    problems = []
    for address in master.removeprefix("spark://").split(","):
        host, colon, port = address.rpartition(":")
        if not colon or not port.isdigit():
            raise SettingsError(f"the master {master!r} is not spark://HOST:PORT; check --master")
        try:
            socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
            return
        except (OSError, OverflowError) as e:
            problems.append(f"{address}: {reason(e)}")
    raise SettingsError(
        f"no Spark master can be reached at {master} ({'; '.join(problems)}); start it, or check --master"
    )


def _start(settings: SparkSettings) -> SparkSession:
    from pyspark import SparkConf
    from pyspark.sql import SparkSession

    conf = dict(_CONF)
    if settings.master is not None:
        conf["spark.master"] = settings.master
    if settings.master is None or settings.master.startswith("local"):
        conf["spark.pyspark.python"] = child_interpreters.path()  # not the python3 of the PATH
    conf |= settings.conf
    try:
        if LEVEL not in settings.conf:  # who sets it sees the log on stderr
            start_java(SparkConf(loadDefaults=False).setAll(list(conf.items())))
        spark = SparkSession.builder.config(map=conf).getOrCreate()
    except Exception as e:  # of the JVM, in many types
        raise SettingsError(
            f"Spark could not be started with the master {settings.master or 'of its configuration'} ({_reason(e)}); "
            f"check --master, --spark-conf and that Java is 17 or newer; {kept_log()}"
        ) from e
    python = spark.conf.get("spark.pyspark.python", None)
    if python is not None and "PYSPARK_PYTHON" not in os.environ:
        spark.sparkContext.pythonExec = python  # only spark-submit reads the setting
    return spark


def _check_settings(spark: SparkSession, settings: SparkSettings) -> None:
    """Raises SettingsError if an active session has other settings."""
    wanted = dict(settings.conf) if settings.master is None else {**settings.conf, "spark.master": settings.master}
    for key, value in wanted.items():
        given = spark.conf.get(key, None)
        if given != value:
            raise SettingsError(
                f"the active Spark session has {key} = {given}, not {value}; stop it, or leave the setting out"
            )


# ---------------------------------------------------------------------------------------------- executors


def probes(spark: SparkSession) -> DataFrame:
    """A frame with the column `id`, one row in each of as many partitions as tasks run at once, at most 64."""
    number = max(1, min(_PROBES, int(spark.conf.get("spark.sql.shuffle.partitions") or 1)))
    return numbered(spark, number)


def check_executors(spark: SparkSession) -> None:
    """Raises SettingsError unless all executors run the Python and the embedrec of the driver."""
    try:
        rows = probes(spark).mapInArrow(_versions, "host string, version string").distinct().collect()
    except Exception as e:
        text = str(e)
        if "PYTHON_VERSION_MISMATCH" in text or "Python versions" in text:
            raise SettingsError(
                f"the executors run another Python than the driver ({_python_versions(text)}); name the same "
                "interpreter with `--spark-conf spark.pyspark.python=PATH`"
            ) from e
        missing = re.search(r"No module named '(\w+)", text)
        if missing is not None:
            raise SettingsError(f"the executors cannot import {missing[1]}; {_SHIP}") from e
        if re.search(r"Cannot run program \"([^\"]+)\"", text):
            program = re.findall(r"Cannot run program \"([^\"]+)\"", text)[0]
            raise SettingsError(
                f"the executors have no interpreter {program}; name it with `--spark-conf spark.pyspark.python=PATH`"
            ) from e
        raise
    other = next((row for row in rows if row.version != __version__), None)
    if other is not None:
        raise SettingsError(
            f"the executor on {other.host} has embedrec {other.version}, but the driver {__version__}; {_SHIP}"
        )


def _python_versions(text: str) -> str:
    versions = re.findall(r"\b3\.\d+\b", text)
    return f"{', '.join(dict.fromkeys(versions))}" if versions else "see PYSPARK_PYTHON"


def _versions(batches: Iterator[Any]) -> Iterator[Any]:
    import pyarrow as pa

    for _ in batches:
        yield pa.record_batch({"host": [socket.gethostname()], "version": [__version__]})


def check_shared(spark: SparkSession, folder: Path) -> None:
    """Raises DataError unless executors can write to a folder of the driver.

    Executors read and write the files of artifacts themselves, so that these need not pass through the driver.
    """
    marker = folder / f".embedrec-{uuid4().hex}"
    try:
        marker.touch()
    except OSError as e:
        raise DataError(f"{folder} cannot be written to ({e.strerror}); choose another workspace") from e
    try:
        rows = probes(spark).mapInArrow(_Access(str(marker)), "host string, problem string").distinct().collect()
    finally:
        marker.unlink(missing_ok=True)
    for row in rows:
        if row.problem:
            raise DataError(
                f"the executor on {row.host} {row.problem} {folder}; choose a workspace in a folder that all machines "
                "share (NFS, a mounted bucket) and that their user may write to"
            )


class _Access:
    """What an executor cannot do with the folder of a file."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa

        marker = Path(self.marker)
        for _ in batches:
            problem = ""
            if not marker.exists():
                problem = "does not see"
            elif not os.access(marker.parent, os.W_OK):
                problem = "may not write to"
            yield pa.record_batch({"host": [socket.gethostname()], "problem": [problem]})


# ---------------------------------------------------------------------------------------------- errors


@contextmanager
def translating() -> Iterator[None]:
    """Turn what Spark raises in a block into an EmbedrecError.

    An error of embedrec in an executor becomes the same error in the driver.
    """
    try:
        yield
    except EmbedrecError:
        raise
    except Exception as e:
        if type(e).__module__.partition(".")[0] not in ("pyspark", "py4j"):
            raise
        raise translated(e) from e


def translated(error: Exception) -> EmbedrecError:
    """The error of embedrec for one of Spark."""
    text = str(error)
    own = re.findall(r"^(?:.*: )?embedrec\.errors\.(\w+): (.+)$", text, re.MULTILINE)
    if own:
        kind = getattr(errors, own[-1][0])
        return kind(own[-1][1]) if isinstance(kind, type) and issubclass(kind, EmbedrecError) else DataError(own[-1][1])
    return DataError(f"{_sentence(text, _reason(error))}; {kept_log()}")


def _sentence(text: str, why: str) -> str:
    """What to do about an error of Spark with this text and this cause."""
    if "ExecutorLostFailure" in text or "OutOfMemoryError" in text:
        return (
            f"Spark lost its executors ({why}); give them more memory with `--spark-conf spark.executor.memory=4g`, or "
            "smaller tasks with `--spark-conf spark.sql.shuffle.partitions=1000`"
        )
    if "No space left on device" in text:
        return (
            f"Spark has no space left on a disk ({why}); name a larger one with `--spark-conf spark.local.dir=FOLDER`"
        )
    if "AccessControlException" in text or "AccessDenied" in text or "Permission denied" in text:
        return f"Spark may not use a path ({why}); check its permissions and the credentials of the executors"
    if "PATH_NOT_FOUND" in text or "Path does not exist" in text or "FileNotFoundException" in text:
        return f"Spark finds no file ({why}); check the paths"
    return f"Spark failed ({why})"


def _reason(error: Exception) -> str:
    """The cause in the message of an error of Spark: of Java, else of a Python worker, else its first line."""
    text = str(error)
    python = re.findall(r"^(?:\w+\.)*(\w+(?:Error|Exception|Interrupt): .+)$", text, re.MULTILINE)
    java = re.findall(r"^Caused by: (?:[\w$]+\.)*([\w$]+: .+)$", text, re.MULTILINE)
    called = re.findall(r"^: (?:[\w$]+\.)*([\w$]+: .+)$", text, re.MULTILINE)  # by Python
    for causes in (java, python, called):
        if causes:
            return str(causes[-1]).strip()[:300]
    return reason(error)[:300]
