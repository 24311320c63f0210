"""Retries of lost connections, and missing packages."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from embedrec.errors import PublishError, SettingsError
from embedrec.publish.endpoint import Endpoint, Retries, check_installed


def test_lost_connections_are_retried() -> None:
    retries_reported: list[dict[str, Any]] = []
    endpoint = Endpoint(
        "redis://:s3cret@h", retries=Retries(2, 0.001), report=lambda event, **numbers: retries_reported.append(numbers)
    )
    calls: list[str] = []

    def call() -> str:
        calls.append("call")
        if calls.count("call") < 3:
            raise ConnectionError("lost s3cret")
        return "done"

    assert endpoint.retry(call, (ConnectionError,), lambda: calls.append("again")) == "done"
    assert calls == ["call", "again", "call", "again", "call"]
    assert retries_reported == [{"seconds": 0.001, "reason": "lost ***"}, {"seconds": 0.002, "reason": "lost ***"}]
    calls[:] = []

    def never() -> None:
        raise ConnectionError("s3cret\nmore")

    with pytest.raises(PublishError) as raised:
        endpoint.retry(never, (ConnectionError,), never)
    assert str(raised.value) == (
        "redis://:***@h cannot be published to (***); check the URL, and whether the service runs"
    )
    assert raised.value.__cause__ is None and raised.value.__suppress_context__
    with pytest.raises(ZeroDivisionError):
        endpoint.retry(lambda: 1 // 0, (ConnectionError,), never)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    check_installed("qdrant_client", "qdrant")
    monkeypatch.setitem(sys.modules, "qdrant_client", None)
    with pytest.raises(SettingsError) as raised:
        check_installed("qdrant_client", "qdrant")
    assert str(raised.value) == (
        "publishing to qdrant needs the package qdrant_client; install it with `pip install 'embedrec[qdrant]'`"
    )
