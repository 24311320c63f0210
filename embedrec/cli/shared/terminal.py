"""Output on stdout and stderr: control characters become visible escapes on a terminal, and stay unchanged in a pipe.

Ids, names, columns and paths come from untrusted data. Escape sequences in them could rename, clear or control a
terminal; bidirectional controls reorder the text. A terminal therefore shows them as \\x1b and \\u202e, and stderr
always does, since its lines are read by people, possibly later on a terminal. Results in a pipe or a file stay exact.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import sys
from contextlib import suppress
from io import BytesIO
from typing import IO, Any, TextIO

import click

from embedrec.errors import SettingsError
from embedrec.text import HIDDEN, escape, visible

# HIDDEN in UTF-8, and bytes that UTF-8 never contains, so that no complete characters are needed.
_HIDDEN_BYTES = re.compile(
    rb"[\x00-\x08\x0b-\x1f\x7f\xc0\xc1\xf5-\xff]|\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80[\x8e\x8f\xa8-\xae]"
    rb"|\xe2\x81[\xa6-\xa9]|\xef\xbb\xbf|\xef\xbf[\xb9-\xbb]|\xed[\xa0-\xbf][\x80-\xbf]"
)
_QUOTED = re.compile(r"""(?P<quote>['"])(?P<text>(?:(?!(?P=quote))[^\\]|\\.){200,}?)(?P=quote)""", re.DOTALL)
_WORD = re.compile(r"\S{1000,}")
_MAX_MESSAGE = 8000  # characters
_EXCERPT = 80  # characters of a long text in a message


def one_line(text: str) -> str:
    """A text with visible controls and line breaks, so that untrusted data cannot forge a line."""
    return visible(text.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r"))


def json_line(value: Any) -> str:
    """A value as JSON with escaped controls, see `visible_json`."""
    return visible_json(json.dumps(value, ensure_ascii=_not_unicode()))


def visible_json(text: str) -> str:
    """Equivalent JSON with all controls as escapes (\\u001b), including DEL, C1 and bidirectional controls."""
    return HIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def shorten(message: str) -> str:
    """A message with long texts, such as an id of 10,000 characters, reduced to their beginning."""
    message = _QUOTED.sub(lambda match: f"{match['quote']}{_cut(match['text'])}{match['quote']}", message)
    message = _WORD.sub(lambda match: _cut(match[0]), message)
    if len(message) <= _MAX_MESSAGE:
        return message
    half = _MAX_MESSAGE // 2
    return f"{message[:half]} … ({len(message) - 2 * half:,} characters left out) … {message[-half:]}"


def write_message(text: str, *, newline: bool = True) -> None:
    """Write a message to stderr, without passwords."""
    click.echo(visible(mask_passwords(text)), err=True, nl=newline)


def write_result(text: str, *, newline: bool = True) -> None:
    """Write a part of the result to stdout: exact in a pipe or a file, with visible controls on a terminal."""
    click.echo(visible(text) if on_terminal() else text, nl=newline, color=True)  # else click removes escape sequences


def on_terminal() -> bool:
    """Whether stdout is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def result_stream() -> IO[bytes]:
    """The stream for the bytes of a result. Raises SettingsError if stdout is closed."""
    if sys.stdout is None:
        raise SettingsError("stdout is closed; name a file for the result instead of '-'")
    return VisibleBytes(sys.stdout.buffer) if on_terminal() else sys.stdout.buffer


class VisibleBytes(BytesIO):
    """A stream that writes UTF-8 with visible controls; every write must consist of complete lines."""

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
    return f"{text[:_EXCERPT]}… ({len(text):,} characters)"


def _not_unicode() -> bool:
    """Whether the encoding of stdout is not Unicode, so that JSON needs ASCII escapes."""
    return sys.stdout is not None and not (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")


_URL = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]+:/{1,2})(?P<user>\S*)@")  # `Path` reduces the slashes to one


def command_line() -> str:
    """The command that runs, as one would type it, without passwords."""
    return mask_passwords(shlex.join(["embedrec", *sys.argv[1:]]))


def mask_passwords(message: str) -> str:
    """A message with masked passwords: of the URLs in it, and of those on the command line in any spelling."""
    words = {word for word in sys.argv[1:] if "://" in word}
    if words:
        from embedrec.publish.endpoint import Endpoint

        for word in sorted(words, key=len, reverse=True):
            endpoint = Endpoint(word)
            message = endpoint.mask(message.replace(repr(word), repr(str(endpoint))))
    return _URL.sub(_mask_url, message) if "@" in message else message


def _mask_url(match: re.Match[str]) -> str:
    name, colon, _ = match["user"].partition(":")
    if not colon and "/" in name:  # an "@" in a path, as in https://example.com/@somebody
        return match[0]
    return f"{match['scheme']}{name}:***@" if colon else f"{match['scheme']}***@"


_STANDARD = (0, 1, 2)


def open_streams() -> None:
    """Make the standard streams safe to use.

    A closed descriptor is opened as /dev/null: otherwise the next opened file would get its number, and the output of
    libraries would go into that file. `sys.stdin`, `sys.stdout` and `sys.stderr` stay None, so that commands can detect
    it. Characters that the encoding of a stream lacks are written as escapes.
    """
    for descriptor in _STANDARD:
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number: this one
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def flush_results() -> None:
    """Flush stdout. Raises OSError if that fails, for example on a full disk."""
    if sys.stdout is not None:
        sys.stdout.flush()


def close_streams() -> None:
    """Flush the streams before the program ends, and discard what cannot be written: Python would print a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            _flush_or_discard(stream)


def _flush_or_discard(stream: TextIO) -> None:
    try:
        stream.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):  # a replacement in a test has no descriptor
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
