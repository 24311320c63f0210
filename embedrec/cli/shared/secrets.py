"""Passwords of URLs on the command line stand in no message, also of commands that take no URL."""

from __future__ import annotations

import re
import sys

_URL = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]+:/{1,2})(?P<user>\S*)@")  # one slash is left by a path of it


def without_passwords(message: str) -> str:
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
