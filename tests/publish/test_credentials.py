"""Secrets of URLs appear in no message, and ambiguous URLs are refused."""

from __future__ import annotations

import string
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.errors import SettingsError
from embedrec.publish.endpoint import Endpoint, without_secrets

SECRETS = st.text(alphabet=string.ascii_letters + string.digits + "!$%&/()=?+~#'@:;, ä", min_size=5)


@given(SECRETS, st.sampled_from([quote, quote_plus, str]), st.sampled_from(["user", ""]))
def test_secrets_are_masked(secret: str, encode: Any, user: str) -> None:
    """In every encoding of the password in the URL and in messages of client libraries."""
    in_url = encode(secret, safe="") if encode is not str else secret
    endpoint = Endpoint(f"redis://{user}:{in_url}@host:6379/0", secret="fr0m-outside")
    if encode is not str:
        endpoint.check("X")
    hidden = endpoint.hide(
        f"no {secret} nor {in_url} nor {quote(secret)} nor {quote_plus(secret)} nor fr0m-outside in {endpoint.url}"
    )
    for text in (str(endpoint), hidden, repr(endpoint)):
        assert secret not in text and in_url not in text and quote(secret, safe="") not in text
        assert "fr0m-outside" not in text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:pw@host/0", "redis://:***@host/0"),
        ("rediss://me:p%40w@host:6380/0?ssl_cert_reqs=none", "rediss://me:***@host:6380/0?ssl_cert_reqs=none"),
        ("redis://:p@w/x@host/0", "redis://***"),
        ("redis://me:se/cret", "redis://***"),
        ("redis://h/0?pasword=secret&db=1", "redis://h/0?pasword=***&db=1"),
        ("redis://h/0?password=a#b&c&db=1#d", "redis://h/0?password=***&***&db=***"),
        ("redis:me:pw@host", "***"),
        ("postgresql://shop@host/db", "postgresql://shop@host/db"),
        ("postgresql:///db?user=me@corp", "postgresql:///db?user=me@corp"),
        ("postgresql://a:1,b:2/db", "postgresql://a:1,b:2/db"),
        ("redis://token@host", "redis://***@host"),
        ("unix:///run/redis.sock?password=pw&db=1", "unix:///run/redis.sock?password=***&db=1"),
        (
            "postgresql://u@h/db?password=a%20b&sslmode=verify-full",
            "postgresql://u@h/db?password=***&sslmode=verify-full",
        ),
        ("postgresql://h/db?sslkey=/k.pem&sslpassword=pw", "postgresql://h/db?sslkey=/k.pem&sslpassword=***"),
        ("https://host:6333?api_key=abc", "https://host:6333?api_key=***"),
        ("http://127.0.0.1:6333", "http://127.0.0.1:6333"),
        ("folder/of/qdrant", "folder/of/qdrant"),
        (":memory:", ":memory:"),
    ],
)
def test_urls_are_masked(url: str, shown: str) -> None:
    assert str(Endpoint(url)) == shown


@pytest.mark.parametrize("password", ["s3c/r3t#x?y", "[sec]ret", "a b", "p@w", "100%", "a%00b", "a\u2100b"])
@pytest.mark.parametrize("start", ["redis://:", "redis://", "http://u:", "postgresql://u:"])
def test_passwords_that_must_be_encoded_are_refused(start: str, password: str) -> None:
    """Client libraries would cite a part of such a password in a message."""
    endpoint = Endpoint(f"{start}{password}@127.0.0.1:7391/0")
    with pytest.raises(SettingsError) as raised:
        endpoint.check("REDISCLI_AUTH")
    assert str(raised.value) == (
        "the password in the URL contains a character that must be percent-encoded (such as / as %2F); "
        "encode it, or set REDISCLI_AUTH"
    )
    assert str(endpoint) == endpoint.url.partition("://")[0] + "://***"
    Endpoint(f"{start}{quote('x' + password, safe='').replace('%00', '')}@127.0.0.1:7391/0").check("REDISCLI_AUTH")


def test_urls_without_a_valid_port_are_refused() -> None:
    for url in ("redis://me:s3cret", "redis://me:s3c/ret", "http://[s3cret", "postgresql://a:1,b:s3cret/db"):
        with pytest.raises(
            SettingsError, match=r"^the port in the URL is not a number; write the URL as scheme://user:"
        ):
            Endpoint(url).check("X")
    for url in ("redis://h", "redis://[::1]:6379", "postgresql://a:1,b/db", "postgresql:///db?user=a@b", "folder", ""):
        Endpoint(url).check("X")


def test_unknown_parameters_are_hidden_from_texts() -> None:
    endpoint = Endpoint("redis://h/0?pasword=s%2Fecret&socket_timeout=much")
    assert endpoint.hide("no s/ecret nor s%2Fecret, much of redis://h/0?pasword=s%2Fecret&socket_timeout=much") == (
        "no *** nor ***, much of redis://h/0?pasword=***&socket_timeout=much"
    )


def test_secrets_in_messages_are_masked() -> None:
    assert without_secrets("cannot reach redis://me:pw@a and api_key=k or redis://b") == (
        "cannot reach redis://me:***@a and api_key=*** or redis://b"
    )
