"""The endpoint of a publish: a URL whose secrets appear in no message, and retries of lost connections."""

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
    """Retries of a call that lost its connection, with exponential backoff: `first` seconds, doubled each time."""

    again: int = 4
    first: float = 0.25

    def delays(self) -> Iterator[float]:
        yield from (self.first * 2**i for i in range(self.again))


@dataclass(frozen=True)
class Endpoint:
    """A URL to publish to; its `str` hides secrets.

    url      with its credentials
    secret   a password or API key from outside the URL, such as the environment
    retries  number and delays of retries
    report   called for every retry as report("retry", seconds=, reason=)
    """

    url: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)
    retries: Retries = Retries()
    report: Report = field(default=quiet, repr=False)

    def __str__(self) -> str:
        return Url.of(self.url).shown

    def check(self, variable: str) -> None:
        """Raises SettingsError for a URL whose password is ambiguous; `variable` can hold the password instead."""
        check_unicode(str(self), "the URL")
        Url.of(self.url).check(variable)

    def hide(self, text: str) -> str:
        """Hide secrets in the text of a library: those of this endpoint in any encoding, of other URLs, and after words
        such as `password=`."""
        return self._without(text, without_secrets)

    def mask(self, text: str) -> str:
        """Hide the secrets of this endpoint, in any encoding, in a text of embedrec."""
        return self._without(text, str)

    def fail(self, error: Exception, remedy: str = "check the URL, and whether the service runs") -> NoReturn:
        """Raises PublishError with the message of a client library, secrets hidden."""
        message = self.hide(reason(error)).rstrip(".")
        raise PublishError(f"{self} cannot be published to ({message}); {remedy}") from None

    def wait_for_turn(self, taken: Callable[[], bool], what: str) -> None:
        """Wait for `taken` to become true: the server may not have noticed yet that a previous publisher was killed.

        Raises PublishError after the last retry: another process publishes to `what`.
        """
        delays = self.retries.delays()
        while not taken():
            delay = next(delays, None)
            if delay is None:
                raise PublishError(
                    f"another publish to {what!r} at {self} is running; wait for it, or choose another --prefix"
                )
            time.sleep(delay)

    def retry(self, call: Callable[[], T], lost: tuple[type[Exception], ...], again: Callable[[], None]) -> T:
        """The result of `call`; after an error of `lost`, a lost connection, calls `again` and retries.

        Raises PublishError after the last retry.
        """
        delays = self.retries.delays()
        ready = True
        while True:
            try:
                if not ready:
                    again()
                    ready = True
                return call()
            except lost as e:
                delay = next(delays, None)
                if delay is None:
                    self.fail(e)
                self.report("retry", seconds=delay, reason=self.hide(reason(e)))
                time.sleep(delay)
                ready = False

    def _without(self, text: str, more: Callable[[str], str]) -> str:
        pieces = text.split(self.url) if self.url else [text]
        for secret in self._secrets():
            pieces = [piece.replace(secret, HIDDEN) for piece in pieces]
        return str(self).join(map(more, pieces))

    def _secrets(self) -> list[str]:
        """The secrets in every encoding, longest first."""
        secrets = {self.secret or ""} | Url.of(self.url).secrets | secret_values(self.url)
        forms = {form(f) for f in secrets for form in (str, unquote, unquote_plus)}
        forms |= {form(f) for f in forms for form in (quote, quote_plus)}
        return sorted(forms - {""}, key=len, reverse=True)


def check_installed(module: str, target: str) -> None:
    """Raises SettingsError if the package `module`, which publishes to `target`, is missing."""
    need_package(module, f"publishing to {target}")
