"""Split a sessions artifact on Spark; the files are those of one machine."""

from __future__ import annotations

from pathlib import Path

from embedrec.spark.session import SparkSettings, spark_session
from embedrec.spark.sessions_frame import open_sessions
from embedrec.spark.split import split_frame
from embedrec.spark.written_parts import staging
from embedrec.splitting.rules import Rule
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.workflows.split import about_split, check_split


def split_on_spark(
    source: Artifact, folder: Path, rule: Rule, spark: SparkSettings, *, seed: int = 0
) -> tuple[Artifact, list[str]]:
    """What `write_split` does, on Spark.

    Raises the errors of `write_split` and `spark_session`, and DataError for sessions with equal ids.
    """
    check_split(source, folder)
    with spark_session(spark) as session, staging(session, folder) as parts, open_sessions(session, source) as frame:
        split = split_frame(rule, frame, parts, seed=seed)
        checked = split.check()
        counts = {"sessions": split.sessions[0], "items": len(split.vocabs[0]), "events": split.events[0]}
        about = about_split(source, rule, seed, checked, counts, split.sessions[1], split.events[1])
        with artifacts.writing(folder, "sessions", {**about, "engine": "spark"}, made_from=source) as draft:
            split.write(draft)
    return artifacts.read(folder, "sessions"), checked
