"""Where text leaves the program: what people read is made visible here, what programs read stays exact.

Ids, names, columns and paths come from data of others. Escape sequences in them could rename a terminal's window, wipe
it, or type into it; controls of direction reorder what is read. A terminal therefore gets them written out, as \\x1b
and \\u202e. So does stderr wherever it goes, because people read its lines, often later on a terminal. Results in a
pipe or a file stay exact.
"""

from __future__ import annotations

import json
import re
import sys
from io import BytesIO
from typing import IO, Any

import click

from embedrec.cli.shared.secrets import without_passwords
from embedrec.errors import SettingsError
from embedrec.text.control_characters import HIDDEN, escape, visible

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


def shortened(message: str) -> str:
    """A message in which texts of data, such as an id of 10,000 characters, are cut to their beginning."""
    message = _QUOTED.sub(lambda match: f"{match['quote']}{_cut(match['text'])}{match['quote']}", message)
    message = _WORD.sub(lambda match: _cut(match[0]), message)
    if len(message) <= _LONGEST:
        return message
    half = _LONGEST // 2
    return f"{message[:half]} … ({len(message) - 2 * half:,} characters left out) … {message[-half:]}"


def tell(text: str, *, newline: bool = True) -> None:
    """A message on stderr, without passwords."""
    click.echo(visible(without_passwords(text)), err=True, nl=newline)


def put(text: str, *, newline: bool = True) -> None:
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
