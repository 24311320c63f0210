"""The same steps on Spark, for logs beyond one machine; the only room that imports pyspark.

Artifacts are those of one machine, file by file, so that every other command opens them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedrec.progress import Report, warn_notes

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from embedrec.spark.sessions_frame import SessionsFrame


def prepare(
    spark: SparkSession,
    frame: DataFrame,
    folder: str | Path,
    *,
    session: str | None = None,
    item: str | None = None,
    user: str | None = None,
    time: str | None = None,
    report: Report = warn_notes,
    **options: Any,
) -> SessionsFrame:
    """Sessions of a frame of Spark with a row an event, written as the sessions artifact `folder`; as frames.

    spark   a running session; executors need embedrec, and the folder must be one that all machines share
    session, item, user, time  the columns; None guesses from common names, "-" means none
    report  "columns" with the guesses, "note" with a message; by default notes are Python warnings
    options  as of `Sessions.from_frame`, but for features

    Without times, the order of rows is that of partitions, and of the rows in each. `Sessions.load(folder)` opens the
    result on one machine.

    Raises DataError, SettingsError and ArtifactError as `Sessions.from_frame` does.
    """
    from embedrec.spark.preparation import Preparation
    from embedrec.spark.session import translating
    from embedrec.spark.sessions_frame import frame_of
    from embedrec.tabular.bad_rows import BadRows
    from embedrec.tabular.frame_table import frame_options, naming_arguments
    from embedrec.tabular.frames import as_arguments
    from embedrec.tabular.read_settings import ReadSettings

    given = {"session": session, "item": item, "user": user, "time": time, **options}
    table, regroup, filters = frame_options(given, "help(Sessions.from_frame)")
    bad_rows = BadRows(options.get("on_bad_row", "fail"))
    settings = ReadSettings(bad_rows, report=report)
    with naming_arguments(), translating():
        artifact = Preparation(spark, filters, settings, regroup).frame(frame, table, Path(folder))
    for line in (*bad_rows.lines(), *bad_rows.notes):
        report("note", message=as_arguments(line))
    return frame_of(spark, artifact)
