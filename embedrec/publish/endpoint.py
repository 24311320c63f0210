"""Where to publish: a URL whose secrets stand in no message, and trying again when it does not answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from embedrec.config import check_unicode
from embedrec.errors import PublishError, need_package, reason
from embedrec.progress import Report, quiet
from embedrec.publish.credentials import HIDDEN, Url, secret_values, without_secrets

T = TypeVar("T")


@dataclass(frozen=True)
class Retries:
    """How often a call that lost its connection is tried again: after `first` seconds, then twice as long each time."""

    again: int = 4
    first: float = 0.25

    def waits(self) -> Iterator[float]:
        yield from (self.first * 2**i for i in range(self.again))


@dataclass(frozen=True)
class Endpoint:
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
        return Url.of(self.url).shown

    def check(self, variable: str) -> None:
        """Raises SettingsError for a URL whose password nobody can tell from the rest; it could stand in `variable`."""
        check_unicode(str(self), "the URL")
        Url.of(self.url).check(variable)

    def hide(self, text: str) -> str:
        """A text of others without the secrets of this place, however they are written, and without those of URLs and
        after words such as `password=` in it."""
        return self._without(text, without_secrets)

    def mask(self, text: str) -> str:
        """A text of ours without the secrets of this place, however they are written."""
        return self._without(text, str)

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

    def _without(self, text: str, more: Callable[[str], str]) -> str:
        pieces = text.split(self.url) if self.url else [text]
        for secret in self._secrets():
            pieces = [piece.replace(secret, HIDDEN) for piece in pieces]
        return str(self).join(map(more, pieces))

    def _secrets(self) -> list[str]:
        """Every way to write the secrets, the longest first."""
        found = {self.secret or ""} | Url.of(self.url).secrets | secret_values(self.url)
        forms = {form(f) for f in found for form in (str, unquote, unquote_plus)}
        forms |= {form(f) for f in forms for form in (quote, quote_plus)}
        return sorted(forms - {""}, key=len, reverse=True)


def check_installed(module: str, extra: str) -> None:
    """Raises SettingsError when the package `module`, which comes with an extra of embedrec, is missing."""
    need_package(module, f"publishing to {extra}", f"embedrec[{extra}]")
