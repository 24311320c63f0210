"""Secrets of URLs stand in no message; lost connections are tried again."""

from __future__ import annotations

import string
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.errors import PublishError, SettingsError
from embedrec.export.publish.place import Place, Retries, check_installed, without_secrets

SECRETS = st.text(alphabet=string.ascii_letters + string.digits + "!$%&/()=?+~#'@:;, ä", min_size=5)


@given(SECRETS, st.sampled_from([quote, quote_plus, str]), st.sampled_from(["user", ""]))
def test_no_secret_is_shown(secret: str, written: Any, user: str) -> None:
    """However the password is written in the URL, and however a client library repeats it."""
    in_url = written(secret, safe="") if written is not str else secret
    place = Place(f"redis://{user}:{in_url}@host:6379/0", secret="fr0m-outside")
    said = place.hide(
        f"no {secret} nor {in_url} nor {quote(secret)} nor {quote_plus(secret)} nor fr0m-outside in {place.url}"
    )
    for text in (str(place), said, repr(place)):
        assert secret not in text and in_url not in text and quote(secret, safe="") not in text
        assert "fr0m-outside" not in text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:pw@host/0", "redis://:***@host/0"),
        ("rediss://me:p%40w@host:6380/0?ssl_cert_reqs=none", "rediss://me:***@host:6380/0?ssl_cert_reqs=none"),
        ("redis://:p@w/x@host/0", "redis://:***@host/0"),
        ("redis://token@host", "redis://***@host"),
        ("unix:///run/redis.sock?password=pw&db=1", "unix:///run/redis.sock?password=***&db=1"),
        (
            "postgresql://u@h/db?password=a%20b&sslmode=verify-full",
            "postgresql://***@h/db?password=***&sslmode=verify-full",
        ),
        ("postgresql://h/db?sslkey=/k.pem&sslpassword=pw", "postgresql://h/db?sslkey=/k.pem&sslpassword=***"),
        ("https://host:6333?api_key=abc", "https://host:6333?api_key=***"),
        ("http://127.0.0.1:6333", "http://127.0.0.1:6333"),
        ("folder/of/qdrant", "folder/of/qdrant"),
        (":memory:", ":memory:"),
    ],
)
def test_what_is_shown(url: str, shown: str) -> None:
    assert str(Place(url)) == shown


def test_texts_of_others() -> None:
    assert without_secrets("cannot reach redis://me:pw@a and api_key=k or redis://b") == (
        "cannot reach redis://me:***@a and api_key=*** or redis://b"
    )


def test_trying_again() -> None:
    said: list[dict[str, Any]] = []
    place = Place("redis://:s3cret@h", retries=Retries(2, 0.001), report=lambda event, **numbers: said.append(numbers))
    calls: list[str] = []

    def call() -> str:
        calls.append("call")
        if calls.count("call") < 3:
            raise ConnectionError("lost s3cret")
        return "done"

    assert place.retrying(call, (ConnectionError,), lambda: calls.append("again")) == "done"
    assert calls == ["call", "again", "call", "again", "call"]
    assert said == [{"seconds": 0.001, "reason": "lost ***"}, {"seconds": 0.002, "reason": "lost ***"}]
    calls[:] = []

    def never() -> None:
        raise ConnectionError("s3cret\nmore")

    with pytest.raises(PublishError) as raised:
        place.retrying(never, (ConnectionError,), never)
    assert str(raised.value) == (
        "redis://:***@h cannot be published to (***); check the URL, and whether the service runs"
    )
    assert raised.value.__cause__ is None and raised.value.__suppress_context__
    with pytest.raises(ZeroDivisionError):
        place.retrying(lambda: 1 // 0, (ConnectionError,), never)


def test_a_missing_package() -> None:
    check_installed("json", "redis")
    with pytest.raises(SettingsError) as raised:
        check_installed("no_such_package", "redis")
    assert str(raised.value) == (
        "publishing to redis needs the package no_such_package; install it with `pip install 'embedrec[redis]'`"
    )
