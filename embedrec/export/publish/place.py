"""Where to publish: a URL whose secrets stand in no message, and trying again when it does not answer."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import NoReturn, TypeVar
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from embedrec.errors import PublishError, SettingsError, reason
from embedrec.reporting import Report, quiet

T = TypeVar("T")
_USERINFO = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)(?P<user>[^\s]*)@")  # up to the last @ of a word
_SECRET_KEY = re.compile(
    r"(?P<key>[\w.-]*(?:pass|pwd|secret|token|key|auth|credential)[\w.-]*)=(?P<value>[^&\s#'\"]+)", re.IGNORECASE
)
_NO_SECRETS = ("sslkey", "sslrootcert", "ssl_keyfile", "passfile", "channel_binding", "require_auth")
_HIDDEN = "***"


@dataclass(frozen=True)
class Retries:
    """How often a call that lost its connection is tried again: after `first` seconds, then twice as long each time."""

    again: int = 4
    first: float = 0.25

    def waits(self) -> Iterator[float]:
        yield from (self.first * 2**i for i in range(self.again))


@dataclass(frozen=True)
class Place:
    """A URL to publish to; as text it is what may be shown.

    url      with its credentials
    secret   a password or API key from elsewhere than the URL, such as the environment
    retries  how often to try again
    report   is told of every retry: "retry" with seconds and reason
    """

    url: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)
    retries: Retries = Retries()
    report: Report = field(default=quiet, repr=False)

    def __str__(self) -> str:
        return self.hide(self.url)

    def hide(self, text: str) -> str:
        """A text of others without the secrets of this place, however they are written."""
        for secret in self._secrets():
            text = text.replace(secret, _HIDDEN)
        return without_secrets(text)

    def fail(self, error: Exception, remedy: str = "check the URL, and whether the service runs") -> NoReturn:
        """Raises PublishError with what a client library said, secrets left out."""
        said = self.hide(reason(error)).rstrip(".")
        raise PublishError(f"{self} cannot be published to ({said}); {remedy}") from None

    def take_turn(self, taken: Callable[[], bool], what: str) -> None:
        """Wait for `taken` to become true: the server may not know yet that the publisher before us was killed.

        Raises PublishError when the tries are used up: somebody else publishes `what`.
        """
        waits = self.retries.waits()
        while not taken():
            wait = next(waits, None)
            if wait is None:
                raise PublishError(
                    f"another publish to {what!r} at {self} is going on; wait for it, or choose another --prefix"
                )
            time.sleep(wait)

    def retrying(self, call: Callable[[], T], lost: tuple[type[Exception], ...], again: Callable[[], None]) -> T:
        """What `call` returns; after a failure that means a lost connection, `again` and `call` are tried once more.

        Raises PublishError when the tries are used up.
        """
        waits = self.retries.waits()
        ready = True
        while True:
            try:
                if not ready:
                    again()
                    ready = True
                return call()
            except lost as e:
                wait = next(waits, None)
                if wait is None:
                    self.fail(e)
                self.report("retry", seconds=wait, reason=self.hide(reason(e)))
                time.sleep(wait)
                ready = False

    def _secrets(self) -> list[str]:
        """Every way to write the secrets, the longest first."""
        found = {self.secret or ""}
        _, _, rest = self.url.partition("://")
        user, at, _ = rest.rpartition("@")  # also of a password that holds what should be percent-encoded
        if at:
            found.add(user.partition(":")[2])
        found |= {m["value"] for m in _SECRET_KEY.finditer(self.url) if m["key"].lower() not in _NO_SECRETS}
        forms = {form(f) for f in found for form in (str, unquote, unquote_plus)}
        forms |= {form(f) for f in forms for form in (quote, quote_plus)}
        return sorted(forms - {""}, key=len, reverse=True)


def without_secrets(text: str) -> str:
    """A text with the passwords and tokens of the URLs in it left out; user names stay."""

    def user(match: re.Match[str]) -> str:
        name, colon, _ = match["user"].partition(":")
        return f"{match['scheme']}{name if colon else ''}{':' if colon else ''}{_HIDDEN}@"

    def value(match: re.Match[str]) -> str:
        return match[0] if match["key"].lower() in _NO_SECRETS else f"{match['key']}={_HIDDEN}"

    return _SECRET_KEY.sub(value, _USERINFO.sub(user, text))


def check_installed(module: str, extra: str) -> None:
    """Raises SettingsError when the package `module`, which comes with an extra of embedrec, is missing."""
    if find_spec(module) is None:
        raise SettingsError(
            f"publishing to {extra} needs the package {module}; install it with `pip install 'embedrec[{extra}]'`"
        )
