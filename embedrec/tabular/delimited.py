"""Delimited text as batches of columns."""

from __future__ import annotations

import codecs
import re
from bisect import insort
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embedrec.errors import DataError
from embedrec.tabular.bad_rows import BadRows
from embedrec.tabular.clean_text import NOT_UTF8, CleanText, first_row, split_row
from embedrec.tabular.formats import Batch, CountingStream, drop_undecodable_rows
from embedrec.tabular.source_files import Source
from embedrec.tabular.text_decoders import decoding

BLOCK = 32 << 20  # bytes of text decoded at once; ids are coded per batch, so large batches are cheaper
_HEADER = 4 << 20  # maximum bytes of the header
_MANY_BYTES = 64 << 20  # size of a text that may have enough quotes for the compiled kernel to be worth its start
_NO_ROWS = ("Empty CSV", "cannot infer number of columns", "Could not skip initial")  # Arrow on a header alone
_TOO_LONG = "straddling object straddles two block boundaries"  # Arrow on a row longer than a block
_QUOTED = re.compile(r'"[^"]*+(?:""[^"]*+)*+"')


@dataclass(frozen=True)
class Delimited:
    """Delimited text. All columns are stripped strings, null where empty.

    delimiter  one character, or the same one twice ("::"); "" detects it in the header
    quoted     whether "…" may contain delimiters and line breaks; always true of TAB separated text with a quoted
               header, as R writes it
    names      the columns, if the file has no header
    encoding   of the text

    Line breaks are LF, CR LF or CR. Blank lines are not rows.
    """

    typed: ClassVar[bool] = False
    delimiter: str = ""
    quoted: bool = True
    names: tuple[str, ...] | None = None
    encoding: Literal["utf-8", "latin-1"] = "utf-8"

    def columns(self, source: Source) -> list[str]:
        """The columns of the header, or `names`."""
        return self._layout(source)[0]

    def batches(self, source: Source, columns: Sequence[str], bad_rows: BadRows, share: float = 1.0) -> Iterator[Batch]:
        """The rows in order.

        Bad rows have too few or too many values, a quote that is not closed at the end of its value, or invalid UTF-8
        in one of the columns.
        """
        from pyarrow import csv as arrow

        names, delimiter, quoted = self._layout(source)
        block = ceil(BLOCK * share)
        with source.open() as stream:
            counted = CountingStream(stream)
            text = CleanText(
                counted,
                delimiter[0].encode(),
                quoted=quoted,
                columns=len(names),
                header=self.names is None,
                utf8=self.encoding == "utf-8",
                longest=block,
                many=source.unpacked >= _MANY_BYTES,
            )
            bad = BadLines(source, bad_rows, text, self.encoding, len(delimiter))
            with _no_rows_allowed(bad, block), decoding(source, "delimited text"):
                reader = arrow.open_csv(
                    pa.PythonFile(text, mode="r"),
                    # one thread: only then Arrow numbers uneven rows
                    arrow.ReadOptions(
                        use_threads=False,
                        encoding=self.encoding,
                        block_size=block,
                        column_names=names if len(delimiter) == 1 else _with_spacers(names),
                    ),
                    arrow.ParseOptions(
                        delimiter=delimiter[0],
                        quote_char='"' if quoted else False,
                        newlines_in_values=quoted,
                        invalid_row_handler=bad,
                    ),
                    arrow.ConvertOptions(
                        check_utf8=False,  # CleanText has checked it
                        column_types=dict.fromkeys(columns, pa.string()),
                        include_columns=list(columns),
                        strings_can_be_null=True,
                        null_values=[""],
                    ),
                )
                done = 0
                for batch in reader:
                    trimmed = {
                        name: pc.ascii_trim_whitespace(column)
                        for name, column in zip(columns, batch.columns, strict=True)
                    }
                    rows = bad.numbers(done, batch.num_rows)
                    read = Batch(source, trimmed, rows, min(counted.bytes / source.unpacked, 1))
                    yield _drop_undecodable(read, bad_rows) if text.damaged else read
                    done += batch.num_rows

    def decoding(self, source: Source) -> Delimited:
        """The same format in the encoding of a source: UTF-8, or Latin-1 where it is not valid UTF-8."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        with source.open() as stream:
            try:
                while block := stream.read(BLOCK):
                    decoder.decode(block)
            except UnicodeDecodeError:
                return replace(self, encoding="latin-1")
        return self

    def _layout(self, source: Source) -> tuple[list[str], str, bool]:
        """The columns, the delimiter, and whether values may be quoted."""
        if self.names is not None and self.delimiter:
            return list(self.names), self.delimiter, self.quoted
        row = self._first_row(source)
        delimiter = self.delimiter or max(",;\t|", key=_QUOTED.sub("", row).count)
        if self.names is not None:
            return list(self.names), delimiter, self.quoted
        try:
            names = split_row(row, delimiter, quoted=self.quoted)
        except DataError as e:
            raise DataError(f"{source}: {e}; double a quote inside of a name, or remove it") from None
        if self.quoted or delimiter != "\t" or not all(_QUOTED.fullmatch(name) for name in names):
            return names, delimiter, self.quoted
        return split_row(row, delimiter, quoted=True), delimiter, True

    def _first_row(self, source: Source) -> str:
        text = source.first_line(BLOCK)
        place = first_row(text, self.quoted, last=False)
        if place is None:  # blank, or the line breaks are in quotes, or are CR alone
            with source.open() as stream:
                text = stream.read(BLOCK)
            place = first_row(text, self.quoted, last=True)
        assert place is not None
        if self.names is None and place[1] - place[0] > _HEADER:
            raise DataError(
                f"the first row of {source} has more than {_HEADER >> 20}M, but must name its columns; check that it "
                "is a table in delimited text"
            )
        try:
            return text[place[0] : place[1]].decode(self.encoding)
        except UnicodeDecodeError as e:
            raise DataError(f"{source} is not UTF-8 text; convert it first") from e


class BadLines:
    """Collects rows with a wrong number of values or a broken quote while Arrow parses."""

    def __init__(self, source: Source, bad_rows: BadRows, text: CleanText, encoding: str, step: int) -> None:
        self.source = source
        self.bad_rows = bad_rows
        self.text = text
        self.encoding = encoding
        self.error: DataError | None = None
        self.step = step  # 2: an empty value lies between two delimiters
        self.left_out: list[int] = []  # ascending row numbers after the last numbered row
        self.before = 0  # number of rows left out before them

    def __call__(self, row: Any) -> str:
        problem, detail = self._problem(row)
        try:
            self.bad_rows.add(self.source, f"row {row.number}", problem, detail)
        except DataError as e:  # raised after Arrow stops
            self.error = e
            return "error"
        insort(self.left_out, row.number)
        return "skip"

    def _problem(self, row: Any) -> tuple[str, str]:
        quoted = self.text.broken_quote(row.text, self.encoding)
        if quoted is not None:
            return "a quote that opens a value must be closed at its end", f", but the one before {quoted!r} is not"
        given, expected = (-(-count // self.step) for count in (row.actual_columns, row.expected_columns))
        return "the row must have a value for every column", f", but has {given} where there are {expected} columns"

    def numbers(self, done: int, count: int) -> np.ndarray:
        """Row numbers of the next `count` even rows after `done` even rows."""
        even = np.arange(done + 1, done + count + 1)  # (count,) numbers if all rows were even
        left_out = np.array(self.left_out, dtype=np.int64)
        before = left_out - 1 - np.arange(len(left_out)) - self.before  # even rows before each that was left out
        numbers = even + self.before + np.searchsorted(before, even)
        passed = int(np.searchsorted(before, done + count, side="right"))
        del self.left_out[:passed]
        self.before += passed
        return numbers


@contextmanager
def _no_rows_allowed(bad: BadLines, longest: int) -> Iterator[None]:
    """Raise the error of the bad row that stopped Arrow; a header without rows is no error.

    longest  maximum bytes of a row
    """
    try:
        yield
    except DataError as e:
        if bad.error:
            raise bad.error from None
        if _TOO_LONG in str(e):
            raise DataError(
                f"{bad.source} has a row of more than {longest / 2**20:,.0f}M, the limit"
                f"{'' if longest == BLOCK else ' under this memory budget; increase it'}; check that it is a table "
                "in delimited text"
            ) from None
        if not any(sign in str(e) for sign in _NO_ROWS):
            raise


def _drop_undecodable(batch: Batch, bad_rows: BadRows) -> Batch:
    """The rows with valid UTF-8; the others are bad rows."""
    wrong = np.zeros(len(batch.rows), dtype=bool)
    for column in batch.columns.values():
        wrong |= pc.fill_null(pc.match_substring(column, NOT_UTF8), False).to_numpy(zero_copy_only=False)
    return drop_undecodable_rows(batch, wrong, bad_rows)


def _with_spacers(names: Sequence[str]) -> list[str]:
    """Names of the columns, with names for the empty columns between two delimiters."""
    return [name for n, given in enumerate(names) for name in (f"\0{n}", given)][1:]
