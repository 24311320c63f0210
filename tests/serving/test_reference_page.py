"""The page /docs."""

from __future__ import annotations

import re

from embedrec.serving.problems import TITLES
from embedrec.serving.routes import ROUTES
from tests.serving.conftest import Client


def test_the_page_describes_every_route_and_error(client: Client) -> None:
    response = client.get("/docs")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    for route in ROUTES:
        assert f"<code>{route.method} {route.path}</code>" in response.text
    for title in TITLES.values():
        assert f"id={title.replace(' ', '-')}>" in response.text


def test_links_of_the_page_lead_somewhere(client: Client) -> None:
    text = client.get("/docs").text
    ids = set(re.findall(r"id=([\w-]+)", text))
    assert set(re.findall(r"href='?#([\w-]+)", text)) <= ids


def test_the_page_loads_nothing(client: Client) -> None:
    text = client.get("/docs").text
    assert not re.findall(r"<script|<link|<img|@import|url\(|https?://", text)
