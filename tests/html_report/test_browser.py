"""Clicks on the map in a browser: Chromium runs the page without a window and prints the resulting elements."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from embedrec.html_report.page import render_page
from embedrec.storage.workspace import Workspace
from tests.html_report.pages import full_content
from tests.html_report.reading import read_page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

# Click on item ITEM at its position, then on the first of its neighbours that is a button, then in an empty corner.
CLICKS = """
const about = JSON.parse(document.getElementById("page-data").textContent).map;
const canvas = document.getElementById("map").querySelector("canvas"), panel = document.getElementById("chosen");
function read() {
  const name = panel.querySelector("b");
  const entries = [...panel.querySelectorAll("li")];
  return name && [name.textContent, entries.map((li) => [li.firstChild.textContent, li.lastChild.textContent])];
}
function click(x, y) {
  const bounds = canvas.getBoundingClientRect();
  canvas.dispatchEvent(new MouseEvent("click", {clientX: bounds.left + x, clientY: bounds.top + y, bubbles: true}));
  return read();
}
const wide = canvas.clientWidth, tall = canvas.clientHeight, [, , , u, v] = about.items[ITEM];
const seen = [click(wide / 2 + u * (wide - 40) / 2, tall / 2 - v * (tall - 40) / 2)];
panel.querySelector("li button").click();
seen.push(read(), click(0, 0));
const out = document.createElement("pre"); out.id = "seen"; out.textContent = JSON.stringify(seen);
document.body.append(out);
"""


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium; install the package chromium")
def test_a_click_on_the_map_lists_the_nearest_items(report_workspace: Workspace, tmp_path: Path) -> None:
    text = render_page("t", full_content(report_workspace))
    about = read_page(text).data["map"]
    item = most_isolated(about["items"])
    shown, neighbour, nothing = clicks(text, item, tmp_path)
    assert shown == expected_list(about, item)
    assert neighbour == expected_list(about, next(row for row, _ in about["near"][item] if row < len(about["items"])))
    assert nothing is None


def most_isolated(items: list[list[Any]]) -> int:
    """The item that is farthest from its nearest neighbour on the map."""
    coordinates = [(item[3], item[4]) for item in items]
    gaps = [min(abs(complex(*a) - complex(*b)) for b in coordinates if b is not a) for a in coordinates]
    return max(range(len(items)), key=lambda row: gaps[row])


def expected_list(about: dict[str, Any], row: int) -> list[Any]:
    """Name of an item, and the names and scores of its nearest items."""
    names = [item[1] for item in about["items"]] + about["names"]
    return [names[row], [[names[other], f"{score:.3f}"] for other, score in about["near"][row]]]


def clicks(text: str, item: int, folder: Path) -> list[Any]:
    """The content of the page after each click; its policy also allows the script of the clicks."""
    script = CLICKS.replace("ITEM", str(item))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text = re.sub(r"(script-src )", rf"\1&#x27;sha256-{digest}&#x27; ", text, count=1)
    text = text.replace("</body>", f"<script>{script}</script></body>")
    (folder / "page.html").write_text(text, encoding="utf-8")
    assert CHROMIUM is not None
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    command += ["--window-size=1200,900", "--dump-dom", (folder / "page.html").as_uri()]
    process = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    match = re.search(r'<pre id="seen">(.*?)</pre>', process.stdout, flags=re.S)
    assert match is not None, process.stderr
    contents: list[Any] = json.loads(html.unescape(match[1]))
    return contents
