"""The files of the page: their types, caching, and what the page may load."""

from __future__ import annotations

import re

import pytest

from embedrec.serving.page import files
from embedrec.serving.page.files import contents, digest
from tests.serving.conftest import Client

FORBIDDEN = r"https?://(?!www\.w3\.org/2000/svg)|@import|innerHTML|insertAdjacentHTML|\beval\("


def test_the_page_refers_to_files_that_exist(client: Client) -> None:
    response = client.get("/")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["content-security-policy"].startswith("default-src 'self';")
    assert response.headers["cache-control"] == "no-cache"
    paths = re.findall(r'(?:src|href)="(/page/[^"]+)"', response.text)
    assert len(paths) == 3
    types = {path.rpartition(".")[2]: client.get(path).headers["content-type"] for path in paths}
    assert types == {
        "js": "text/javascript; charset=utf-8",
        "css": "text/css; charset=utf-8",
        "svg": "image/svg+xml",
    }


def test_files_are_kept_for_ever_at_the_path_of_their_digest(client: Client) -> None:
    response = client.get(f"/page/{digest()}/app.js")
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert response.content == contents()["app.js"]
    for path in (f"/page/{digest()}/index.html", f"/page/{digest()}/files.py", "/page/0/app.js", "/page/app.js"):
        assert client.get(path).status_code == 404
    assert client.get(f"/page/{digest()}/../files.py").status_code == 404


def test_an_unchanged_page_is_not_sent_again(client: Client) -> None:
    etag = client.get("/").headers["etag"]
    again = client.get("/", headers={"if-none-match": etag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert "content-length" not in again.headers
    assert client.get("/", headers={"if-none-match": '"other"'}).status_code == 200


def test_the_digest_changes_with_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest()
    changed = {**contents(), "app.js": b""}
    monkeypatch.setattr(files, "contents", lambda: changed)
    assert digest.__wrapped__() != before


def test_modules_import_modules_that_exist_and_nothing_is_loaded_from_elsewhere() -> None:
    for name, content in contents().items():
        text = content.decode()
        assert not re.search(
            r"https?://(?!www\.w3\.org/2000/svg)|@import|innerHTML|insertAdjacentHTML|\beval\(", text
        ), name
        for imported in re.findall(r'^import .* from "(.+)";$', text, re.MULTILINE):
            assert imported.removeprefix("./") in contents(), (name, imported)
    assert "style=" not in contents()["index.html"].decode()
