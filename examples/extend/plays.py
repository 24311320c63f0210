"""A log of plays without a header: user, time, artist."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from embedrec.data.events import Events
from embedrec.tabular.delimited import Delimited
from embedrec.tabular.read_rows import Plan, read_rows
from embedrec.tabular.read_settings import ReadSettings
from embedrec.tabular.source_files import expand


@dataclass(frozen=True)
class Plays:
    """.plays files: user, time (ISO 8601) and artist, without a header. A session is a user.

    delimiter  between the values
    """

    delimiter: str = "\t"

    def read(self, paths: Sequence[str | Path], settings: ReadSettings) -> Events:
        """The plays of all files as events. Raises DataError for unreadable files and bad rows (unless skipped)."""
        layout = Delimited(self.delimiter, quoted=False, names=("user", "time", "artist"))
        plan = Plan(session="user", user="user", item="artist", time="time", time_unit="iso")
        return read_rows([(source, layout) for source in expand(paths, (".plays",))], plan, settings)
