"""Where text leaves the program: what people read is made visible here, what programs read stays exact.

Ids, names, columns and paths come from data of others. Escape sequences in them could rename a terminal's window, wipe
it, or type into it; controls of direction reorder what is read. A terminal therefore gets them written out, as \\x1b
and \\u202e. So does stderr wherever it goes, because people read its lines, often later on a terminal. Results in a
pipe or a file stay exact.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
from contextlib import suppress
from io import BytesIO
from typing import IO, Any, TextIO

import click

from embedrec.errors import SettingsError
from embedrec.text import HIDDEN, escape, visible

# The same in UTF-8, and what no byte of UTF-8 is, so that it needs no whole characters.
_HIDDEN_BYTES = re.compile(
    rb"[\x00-\x08\x0b-\x1f\x7f\xc0\xc1\xf5-\xff]|\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80[\x8e\x8f\xa8-\xae]"
    rb"|\xe2\x81[\xa6-\xa9]|\xef\xbb\xbf|\xef\xbf[\xb9-\xbb]|\xed[\xa0-\xbf][\x80-\xbf]"
)
_QUOTED = re.compile(r"""(?P<quote>['"])(?P<text>(?:(?!(?P=quote))[^\\]|\\.){200,}?)(?P=quote)""", re.DOTALL)
_WORD = re.compile(r"\S{1000,}")
_LONGEST = 8000  # characters of a message
_SHOWN = 80  # characters of a long text in it


def one_line(text: str) -> str:
    """A text whose line ends are written out too, so that data of others cannot fake a line."""
    return visible(text.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r"))


def json_line(value: Any) -> str:
    """A value as JSON in which controls are escapes, see `visible_json`."""
    return visible_json(json.dumps(value, ensure_ascii=_not_unicode()))


def visible_json(text: str) -> str:
    """JSON of the same value in which all controls are written as \\u001b: also DEL, C1 and those of direction."""
    return HIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def shorten(message: str) -> str:
    """A message in which texts of data, such as an id of 10,000 characters, are cut to their beginning."""
    message = _QUOTED.sub(lambda match: f"{match['quote']}{_cut(match['text'])}{match['quote']}", message)
    message = _WORD.sub(lambda match: _cut(match[0]), message)
    if len(message) <= _LONGEST:
        return message
    half = _LONGEST // 2
    return f"{message[:half]} … ({len(message) - 2 * half:,} characters left out) … {message[-half:]}"


def write_message(text: str, *, newline: bool = True) -> None:
    """A message on stderr, without passwords."""
    click.echo(visible(mask_passwords(text)), err=True, nl=newline)


def write_result(text: str, *, newline: bool = True) -> None:
    """A part of the result on stdout: exact in a pipe or a file, visible on a terminal."""
    click.echo(visible(text) if on_terminal() else text, nl=newline, color=True)  # else click takes sequences out


def on_terminal() -> bool:
    """Whether results go to a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def result_stream() -> IO[bytes]:
    """Where the bytes of a result go. Raises SettingsError where stdout is closed."""
    if sys.stdout is None:
        raise SettingsError("stdout is closed; name a file for the result instead of '-'")
    return VisibleBytes(sys.stdout.buffer) if on_terminal() else sys.stdout.buffer


class VisibleBytes(BytesIO):
    """A stream of UTF-8 that makes visible what is written; whole lines come in one piece."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__()
        self._stream = stream

    def write(self, data: Any) -> int:
        self._stream.write(_HIDDEN_BYTES.sub(_escape_bytes, bytes(data)))
        return len(data)

    def flush(self) -> None:
        self._stream.flush()


def _escape_bytes(match: re.Match[bytes]) -> bytes:
    try:
        return escape(ord(match[0].decode())).encode()
    except UnicodeDecodeError:
        return b"".join(b"\\x%02x" % byte for byte in match[0])


def _cut(text: str) -> str:
    return f"{text[:_SHOWN]}… ({len(text):,} characters)"


def _not_unicode() -> bool:
    """Whether stdout has an encoding that lacks characters, where JSON writes them all as escapes."""
    return sys.stdout is not None and not (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")


_URL = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]+:/{1,2})(?P<user>\S*)@")  # one slash is left by a path of it


def mask_passwords(message: str) -> str:
    """A message without the secrets of the URLs that stand in it or on the command line, however it cites them."""
    words = {word for word in sys.argv[1:] if "://" in word}
    if words:
        from embedrec.publish.endpoint import Endpoint

        for word in sorted(words, key=len, reverse=True):
            place = Endpoint(word)
            message = place.mask(message.replace(repr(word), repr(str(place))))
    return _URL.sub(_hidden, message) if "@" in message else message


def _hidden(match: re.Match[str]) -> str:
    name, colon, _ = match["user"].partition(":")
    if not colon and "/" in name:  # an "@" in a path, as in https://example.com/@somebody
        return match[0]
    return f"{match['scheme']}{name}:***@" if colon else f"{match['scheme']}***@"


_STANDARD = (0, 1, 2)


def open_streams() -> None:
    """Make the standard streams safe to use.

    Where one of the three descriptors is closed, the next file that is opened would take its number, and what a
    library prints would go into that file: nothing (/dev/null) stands there instead. `sys.stdin`, `sys.stdout` and
    `sys.stderr` stay None, so that commands can tell. Characters that the encoding of a stream lacks are written as
    escapes.
    """
    for descriptor in _STANDARD:
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def flush_results() -> None:
    """Write out what is left of the result. Raises OSError where that fails, as on a full disk."""
    if sys.stdout is not None:
        sys.stdout.flush()


def close_streams() -> None:
    """Before the program ends: what cannot be written is given up here, as Python would print a traceback of it."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            _give_up_rest(stream)


def _give_up_rest(stream: TextIO) -> None:
    try:
        stream.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):  # what a test puts in its place has no descriptor
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
