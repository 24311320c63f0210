"""Settings of the service."""

from __future__ import annotations

from typing import Any

import pytest

from embedrec.errors import SettingsError
from embedrec.serving.settings import ServeSettings, is_loopback


def test_addresses_are_parsed() -> None:
    assert ServeSettings().address == ("127.0.0.1", 8000)
    assert ServeSettings(bind="[::1]:80").address == ("::1", 80)
    assert ServeSettings(bind="0.0.0.0:1", api_key="k").address == ("0.0.0.0", 1)


def test_loopback_addresses_are_known() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "example.com")))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"bind": "8000"}, "bind must be an address and a port, such as 127.0.0.1:8000, but is '8000'"),
        ({"bind": "127.0.0.1:99999"}, "bind must be an address and a port"),
        ({"bind": "0.0.0.0:80"}, "0.0.0.0 can be reached from other machines, which needs a key"),
        ({"api_key": ""}, "the API key must consist of printable ASCII characters"),
        ({"workers": 0}, "workers must be between 1 and 256, but is 0"),
        ({"timeout": 0.0}, "timeout must be between 0.001 and 86400"),
        ({"device": "tpu"}, "device must be cpu or cuda, but is 'tpu'"),
    ],
)
def test_wrong_settings_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        ServeSettings(**given)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("origin", ["https://shop.example/", "shop.example", "https://", "https://a b", ""])
def test_what_no_browser_sends_is_no_origin(origin: str) -> None:
    with pytest.raises(SettingsError, match="cors must be the origin of a web page"):
        ServeSettings(cors=("https://a.example:8443", "*", origin))
