"""Errors of the service: problem details (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from embedrec.errors import ArtifactError, DataError, EmbedrecError, UnknownItemError
from embedrec.serving.schemas import NearItem, ProblemDetails
from embedrec.tabular.frames import as_arguments

TITLES = {
    400: "malformed request",
    401: "key needed",
    404: "not found",
    403: "origin not allowed",
    405: "method not allowed",
    408: "request too slow",
    413: "request too large",
    421: "host not allowed",
    422: "invalid request",
    429: "too many requests",
    500: "internal error",
    503: "not ready",
}
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Problem(Exception):  # noqa: N818 (the word of RFC 9457)
    """An error that a request is answered with.

    headers  further headers of the answer
    near     items that may be meant
    """

    def __init__(
        self, status: int, detail: str, *, headers: Mapping[str, str] = _NO_HEADERS, near: Sequence[NearItem] = ()
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers
        self.near = near

    @property
    def details(self) -> ProblemDetails:
        """The content of the answer."""
        title = TITLES[self.status]
        kind = f"/docs#{title.replace(' ', '-')}"
        return ProblemDetails(kind, title, self.status, str(self), list(self.near) or None)


_AGAIN = MappingProxyType({"retry-after": "5"})


def problem_of(error: Exception, names: Mapping[int | str, str] = MappingProxyType({})) -> Problem:
    """The problem of an error.

    names  names of the near items of an unknown item
    """
    if isinstance(error, Problem):
        return error
    if isinstance(error, UnknownItemError):
        near = [NearItem(item, names.get(item, "")) for item in error.near]
        return Problem(404, as_arguments(str(error)), near=near)
    if isinstance(error, EmbedrecError):
        status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 422)
        return Problem(status, as_arguments(str(error)), headers=_AGAIN if status == 503 else _NO_HEADERS)
    if isinstance(error, MemoryError):
        return Problem(503, "the service is out of memory; try again", headers=_AGAIN)
    return Problem(500, "the service failed to answer; its log says why")


_STATUS = {ArtifactError: 503, DataError: 400}  # of the other errors of embedrec: 422
