"""Rows that cannot be used: the first one raises an error, or they are left out and counted."""

from __future__ import annotations

from typing import Literal

from embedrec.errors import DataError

_KEPT = 3  # examples a problem


class BadRows:
    """Collects bad rows while files are read.

    mode      "fail": the first bad row raises DataError; "skip": bad rows are left out and counted
    counts    problem → rows left out
    examples  problem → the first few locations, "file, location"
    notes     other observations, a sentence each

    It can be sent to other processes; `merge` joins the results of several processes.
    """

    def __init__(self, mode: Literal["fail", "skip"] = "fail") -> None:
        self.mode = mode
        self.counts: dict[str, int] = {}
        self.examples: dict[str, list[str]] = {}
        self.notes: list[str] = []

    @property
    def total(self) -> int:
        """Number of rows left out."""
        return sum(self.counts.values())

    def add(self, file: object, location: str, problem: str, detail: str = "", rows: int = 1) -> None:
        """Count `rows` bad rows, the first of them at `location` of `file`.

        problem  the same text for all rows of this kind: "artist_uri must be a text"
        detail   the value of this row: ", but is 12"

        Raises DataError in mode "fail".
        """
        if self.mode == "fail":
            raise DataError(f"{file}, {location}: {problem}{detail}; use --on-bad-row skip to leave such rows out")
        self.leave_out(file, location, problem, rows)

    def leave_out(self, file: object, location: str, problem: str, rows: int = 1) -> None:
        """Count `rows` rows that are left out in every mode, the first of them at `location` of `file`."""
        self.counts[problem] = self.counts.get(problem, 0) + rows
        examples = self.examples.setdefault(problem, [])
        if len(examples) < _KEPT:
            examples.append(f"{file}, {location}")

    def merge(self, other: BadRows) -> None:
        """Append the rows of `other`."""
        self.notes += other.notes
        for problem, count in other.counts.items():
            self.counts[problem] = self.counts.get(problem, 0) + count
            examples = self.examples.setdefault(problem, [])
            examples.extend(other.examples[problem][: _KEPT - len(examples)])

    def lines(self) -> list[str]:
        """One sentence a problem, most frequent first: "2 rows left out: … (first: file, location)"."""
        ordered = sorted(self.counts.items(), key=lambda pair: -pair[1])
        return [
            f"{count:,} row{'s'[: count > 1]} left out: {problem} (first: {self.examples[problem][0]})"
            for problem, count in ordered
        ]
