"""The page in a real browser."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.serving.explore.test_item_map import unpack
from tests.serving.explored import HOSTILE, make_explored
from tests.serving.page.conftest import PageBrowser
from tests.serving.test_server import Running

SIMILAR = 4  # lists of similar items: two indexes, two models
NEXT = 3  # lists of next items


def neighbours(url: str, item: str, **given: str | int) -> list[str]:
    answer = httpx.get(f"{url}/v1/similar/{item}", params=given).json()
    return [one["item"] for one in answer["results"][0]["neighbours"]]


def test_a_search_leads_to_the_neighbours_in_every_source(page: PageBrowser) -> None:
    page.open()
    assert len(page.wait(lambda: page.find(".starts a.item"))) == 12
    page.one("#query").send_keys("cluod 41")  # mistyped
    page.wait(lambda: "spelled similarly" in page.one("#matches").text)
    page.wait(lambda: "cloud 41" in page.one("#match-0").text)
    page.run("arguments[0].dispatchEvent(new PointerEvent('pointerdown'))", page.one("#match-0"))
    page.wait_lists(SIMILAR)
    assert page.one("h1").text == "cloud 41"
    assert page.driver.title == "cloud 41 · embedrec"
    assert "group cloud" in page.one(".facts").text and "year 2031" in page.one(".facts").text
    for source in ("index flat", "index new", "model mf", "model cooccurrence"):
        kind, name = source.split()
        assert page.items(source) == neighbours(page.url, "item:41", **{kind: name})
    assert all("group" in text for text in page.texts("[aria-label='index flat'] .values"))
    assert page.one("#status").get_attribute("aria-live") == "polite"


def test_a_click_on_a_neighbour_shows_its_neighbours_and_back_returns(page: PageBrowser) -> None:
    page.open("/?item=item:41")
    page.wait_lists(SIMILAR)
    first = page.items("index flat")[0]
    page.click("[aria-label='index flat'] li[data-item] a.item")
    page.wait(lambda: page.run("return location.search").endswith(first.replace(":", "%3A")))
    page.wait(lambda: page.items("index flat") == neighbours(page.url, first, index="flat"))
    page.driver.back()
    page.wait(lambda: page.one("h1").text == "cloud 41")
    page.wait(lambda: page.items("index flat") == neighbours(page.url, "item:41", index="flat"))
    page.driver.forward()
    page.wait(lambda: page.items("index flat") == neighbours(page.url, first, index="flat"))


def test_a_url_restores_the_state(page: PageBrowser) -> None:
    page.open("/?item=river%2012&k=4&where=year%3E%3D2000&popularity=0.5&exclude=item:41&exact=1&explain=1")
    page.wait(lambda: "&item=item%3A12&" in page.run("return location.search"), "the id in place of the name")
    page.wait_lists(SIMILAR - 1)  # the imported vectors have no features
    page.refused = True
    page.wait(lambda: page.one("h1").text == "river 12")
    given = {"k": 4, "where": "year>=2000", "exclude": "item:41"}
    assert page.items("model cooccurrence") == neighbours(page.url, "item:12", model="cooccurrence", **given)
    assert page.items("model mf") == neighbours(page.url, "item:12", model="mf", popularity="0.5", **given)
    values = {name: page.one(f"#control-{name}").get_property("value") for name in ("k", "popularity")}
    assert values == {"k": "4", "popularity": "0.5"}
    assert page.one("#control-exact").is_selected() and page.one("#control-explain").is_selected()
    assert page.texts(".chip bdi") == ["year>=2000", "item:41"]
    assert "The index finds 4 of the exact 4." in page.one("[aria-label='index flat']").text
    page.click("[aria-label='model cooccurrence'] details summary")
    page.wait(lambda: "river 12" in page.texts("[aria-label='model cooccurrence'] details li:last-child b"))


def test_controls_change_the_lists_and_the_url(page: PageBrowser) -> None:
    page.open("/?item=item:41")
    page.wait_lists(SIMILAR)

    def shows(skip: int = 0, **given: str | int) -> None:
        expected = neighbours(page.url, "item:41", index="flat", **given)[skip:]
        page.wait(lambda: page.items("index flat") == expected)

    page.one("#control-k").send_keys("3")
    shows(k=3)
    assert page.run("return location.search") == "?item=item%3A41&k=3"
    page.one("#control-where").send_keys("group=river\n")
    shows(k=3, where="group=river")
    page.refused = True  # by the imported vectors, which have no features
    page.click(".chip button")
    shows(k=3)
    page.click("[aria-label='index flat'] button[title=Exclude]")
    shows(k=4, skip=1)


def test_policies_show_scores_before_and_after(page: PageBrowser) -> None:
    page.open("/?item=item:41&k=3&discount=0.5&cap=group%3D2&back_off=1")
    page.wait(lambda: len(page.find("table")) == 3)  # imported vectors have no sessions that a discount needs
    assert page.texts("[aria-label='model cooccurrence'] thead th") == [
        "rank", "item", "before", "discount 0.5", "cap group=2", "back-off",
    ]  # fmt: skip
    steps = httpx.get(
        f"{page.url}/v1/policies",
        params={
            "item": "item:41",
            "model": "cooccurrence",
            "k": 3,
            "discount": 0.5,
            "cap": "group=2",
            "back_off": True,
        },
    ).json()["steps"]
    shown = page.texts("[aria-label='model cooccurrence'] tbody tr:not(.dropped) th")
    assert shown == [one["name"] for one in steps[-1]["neighbours"]]
    assert "training sessions are unknown" in page.one("[aria-label='index new'] .problem").text
    page.refused = True


def test_a_session_grows_and_is_reordered(page: PageBrowser) -> None:
    page.open("/?view=session")
    page.wait(lambda: len(page.find(".starts button")) == 4)
    page.click(".starts button")
    page.wait_lists(NEXT)
    history = "return [...document.querySelectorAll('[data-history]')].map((e) => e.dataset.history)"
    start = page.run(history)
    assert len(start) == 3
    added = page.items("model sknn")[0]
    assert "past session" in page.one("[aria-label='model sknn'] li").text
    assert "nearest past sessions" in page.one("[aria-label='model cooccurrence'] li .reason").text
    page.click("[aria-label='model sknn'] button[aria-label^=Add]")
    page.wait(lambda: page.run(history) == [*start, added])
    body = {"items": [*start, added], "model": "sknn"}
    expected = httpx.post(f"{page.url}/v1/recommend", json=body).json()["results"][0]["items"]
    page.wait(lambda: page.items("model sknn") == [one["item"] for one in expected])
    page.click("[data-history]:last-child button[title$=up]")
    page.wait(lambda: page.run(history) == [start[0], start[1], added, start[2]])
    page.click("[data-history] button[title^=Remove]")
    page.wait(lambda: page.run(history) == [start[1], added, start[2]])
    page.driver.back()
    page.wait(lambda: page.run(history) == [start[0], start[1], added, start[2]])
    page.run("[...document.querySelectorAll('button')].find((b) => b.textContent === 'Clear').click()")
    page.wait(lambda: len(page.find(".starts button")) == 4)


def drawn(page: PageBrowser) -> dict[str, str]:
    """What the map says of itself, once it is drawn."""
    page.wait(lambda: page.run("return document.querySelector('.map')?.dataset.labels"), "the map")
    state: dict[str, str] = page.run("return {...document.querySelector('.map').dataset}")
    return state


def colours_of_map(page: PageBrowser) -> set[tuple[int, ...]]:
    """The colours of more than a few pixels of the map."""
    picture = Image.open(BytesIO(page.one(".map").screenshot_as_png)).convert("RGB")
    return {colour for count, colour in picture.getcolors(1 << 24) if count > 20}


@pytest.mark.parametrize("renderer", ["webgl", "canvas"])
def test_the_map_draws_all_items_and_marks_the_chosen_one(page: PageBrowser, renderer: str) -> None:
    page.emulate("setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "light"}])
    page.open("/?view=map&colour=feature:group" + ("&canvas=1" if renderer == "canvas" else ""))
    state = drawn(page)
    assert (state["renderer"], state["drawn"]) == (renderer, "60")
    assert int(state["labels"]) > 5
    assert ("no WebGL" in page.one("main").text) == (renderer == "canvas")
    page.wait(lambda: page.texts(".legend bdi") == ["river", "stone", "cloud", "other or none"])
    three = {(44, 107, 179), (209, 102, 42), (35, 135, 106)}
    page.wait(lambda: all(any(near(c, d) for d in colours_of_map(page)) for c in three), "points of three colours")
    page.one("#query").send_keys("cloud 41")
    page.wait(lambda: page.find("#match-0"))
    page.one("#query").send_keys("\ue007")
    page.wait(lambda: page.items("Chosen items") == neighbours(page.url, "item:41", index="flat"))
    assert page.run("return location.search").endswith("&item=item%3A41")
    page.click("[aria-label='Chosen items'] a.item")
    first = neighbours(page.url, "item:41", index="flat")[0]
    page.wait(lambda: page.items("Chosen items") == neighbours(page.url, first, index="flat"))
    page.driver.back()
    page.wait(lambda: page.items("Chosen items") == neighbours(page.url, "item:41", index="flat"))


def near(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether two colours differ little."""
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) < 40


def test_points_are_hovered_clicked_and_drawn_around(page: PageBrowser) -> None:
    from selenium.webdriver.common.actions.action_builder import ActionBuilder

    page.emulate("setDeviceMetricsOverride", width=1300, height=1100, deviceScaleFactor=1, mobile=False)
    page.open("/?view=map")
    drawn(page)
    edges: dict[str, float] = page.run("return document.querySelector('.overlay').getBoundingClientRect().toJSON()")
    wide, tall = edges["width"], edges["height"]
    data = unpack(httpx.get(f"{page.url}/v1/map").content)
    row = int(np.argmax(data["position"][:, 0]))  # at the right
    x, y = data["position"][row].tolist()
    left = edges["left"] + wide / 2 + 0.47 * min(wide, 1.5 * tall) * x
    top = edges["top"] + tall / 2 - 0.47 * min(tall, 1.5 * wide) * y
    item = httpx.post(f"{page.url}/v1/items", json={"rows": [row]}).json()["items"][0]

    def move(*places: tuple[float, float], click: bool = False, hold: bool = False) -> None:
        actions = ActionBuilder(page.driver, duration=0)
        for n, place in enumerate(places):
            actions.pointer_action.move_to_location(round(place[0]), round(place[1]))
            if hold and n == 0:
                actions.pointer_action.pointer_down()
        if click:
            actions.pointer_action.click()
        if hold:
            actions.pointer_action.pointer_up()
        actions.perform()

    move((left, top))
    page.wait(lambda: page.one(".tip").text == item["name"])
    move((left, top), click=True)
    page.wait(lambda: page.texts("[aria-label='Chosen items'] h2") == [item["name"]])
    page.click(".toolbar button[title^=Draw]")
    x0, x1, y0, y1 = edges["left"] + 3, edges["right"] - 3, edges["top"] + 3, edges["bottom"] - 3
    move((x0, y0), (x1, y0), (x1, y1), (x0, y1), hold=True)
    page.wait(lambda: page.texts("[aria-label='Chosen items'] h2") == ["60 items"])
    assert len(page.items("Chosen items")) == 30


def test_the_keyboard_moves_the_map(page: PageBrowser) -> None:
    page.open("/?view=map")
    drawn(page)
    page.run("document.querySelector('.overlay').focus()")
    page.type("+", "+", "\ue014", "\ue007")
    page.wait(lambda: page.find("[aria-label='Chosen items'] li"))
    page.wait(lambda: "&at=" in page.run("return location.search"))
    shown = page.run("return location.search")
    page.open(f"/{shown}")  # the URL restores the place and the item
    drawn(page)
    page.wait(lambda: page.find("[aria-label='Chosen items'] li"))
    assert page.run("return location.search") == shown
    assert "Arrow keys move" in page.one(".overlay").get_attribute("aria-label")


def test_drift_names_items_that_moved_and_went(page: PageBrowser) -> None:
    page.open("/?view=drift&from=flat&to=new&k=5")
    page.wait(lambda: page.find(".tile"))
    answer = httpx.get(f"{page.url}/v1/drift", params={"from": "flat", "to": "new", "k": 5}).json()
    shares = [f"{answer['overlap'] * 100:.1f} %", f"{answer['rank_biased_overlap']:.3f}"]
    figures = answer["figures"]
    pairs = [" → ".join(f"{value * 100:.1f} %" for value in figures[name]) for name in
             ("coverage", "popularity of results")]  # fmt: skip
    further = [*pairs, f"{figures['shift of popularity'] * 100:.1f} %"]
    assert page.texts(".tile b") == [*shares, str(answer["unchanged"]), "0", "1", *further]
    shown = page.run("return [...document.querySelectorAll('ol > li[data-item]')].map((row) => row.dataset.item)")
    assert shown == [one["item"] for one in answer["moved"]]
    assert page.texts(".names bdi") == ["cloud 59"]
    assert [int(text) for text in page.texts(".bars td:last-child")] == answer["distribution"][::-1]
    page.run("const s = document.getElementById('drift-to'); s.value = [...s.options].find((o) => "
             "o.text.startsWith('model mf')).value; s.dispatchEvent(new Event('change'))")  # fmt: skip
    page.wait(lambda: page.texts(".tile b")[0] == "100.0 %")
    assert "&to=mf%40" in page.run("return location.search")
    assert page.texts(".moved .notice") == ["No list changed."]


def test_the_keyboard_is_enough(page: PageBrowser) -> None:
    page.open()
    page.wait(lambda: page.find(".starts a.item"))
    page.type("/")
    assert page.run("return document.activeElement.id") == "query"
    page.type("cloud")
    page.wait(lambda: len(page.find("#matches [role=option]")) == 12)
    assert page.one("#query").get_attribute("aria-expanded") == "true"
    page.type("\ue015", "\ue015")  # arrow down
    assert page.one("#query").get_attribute("aria-activedescendant") == "match-1"
    second = page.texts("#match-1 bdi")[0]
    page.type("\ue00c")  # escape
    page.wait(lambda: page.one("#query").get_attribute("aria-expanded") == "false")
    page.type("\ue015")
    page.wait(lambda: page.one("#query").get_attribute("aria-expanded") == "true")
    page.type("\ue015", "\ue015", "\ue007")  # enter
    page.wait(lambda: page.one("h1").text == second)
    outline = page.run("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"
    names = page.run(
        "return [...document.querySelectorAll('button, input, a, summary')].filter((e) => e.checkVisibility() && !("
        "e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length || e.title)).map((e) => e.outerHTML)"
    )
    assert names == []


PHONE = ("/", "/?item=item:6&exact=1&explain=1", "/?view=session&items=item:6&items=item:5", "/?view=map&item=item:6",
         "/?view=drift")  # fmt: skip


@pytest.mark.parametrize("path", PHONE)
def test_a_phone_needs_no_sideways_scrolling(page: PageBrowser, path: str) -> None:
    page.emulate("setDeviceMetricsOverride", width=360, height=700, deviceScaleFactor=2, mobile=True)
    page.open(path)
    if "drift" in path:
        page.wait(lambda: page.find(".tile"))
    elif "map" in path:
        drawn(page)
        page.wait(lambda: page.find("[aria-label='Chosen items'] li"))
    elif "item" in path:
        page.wait_lists(NEXT if "session" in path else SIMILAR)
    else:
        page.wait(lambda: page.find(".starts a.item"))
    assert page.run("return document.documentElement.scrollWidth") <= 360


CONTRAST = """
const parse = (text) => text.match(/[\\d.]+/g).map(Number);
const linear = (c) => c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
const light = (rgb) => rgb.slice(0, 3).map((c) => linear(c / 255))
  .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
  if (c.length < 4 || c[3] > 0) return c; } return parse(getComputedStyle(document.body).backgroundColor); };
return [...document.querySelectorAll("body *")].filter((e) => e.checkVisibility() && !e.disabled &&
  [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())).map((e) => {
    const a = light(parse(getComputedStyle(e).color)), b = light(behind(e));
    return [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), e.outerHTML.slice(0, 80)];
  }).filter(([ratio]) => ratio < 4.5);
"""


@pytest.mark.parametrize("path", ["/?view=session&items=item:41", "/?view=drift", "/?view=map&item=item:41"])
def test_every_view_has_contrast(page: PageBrowser, path: str) -> None:
    for scheme in ("dark", "light"):
        page.emulate("setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        page.open(path)
        page.wait(lambda: page.find(".tile, li[data-item] .values"))
        assert page.run(CONTRAST) == []


def test_a_key_is_asked_for(chromium: Any, tmp_path: Path) -> None:
    make_explored(tmp_path / "workspace")
    running = Running(tmp_path / "workspace", tmp_path / "log", "--model", "cooccurrence", "--api-key", "correct-horse")
    try:
        running.wait_ready()
        page = PageBrowser(chromium, running.url)
        page.open("/?item=item:41")
        page.one("#key").send_keys("correct-horse\n")
        page.wait(lambda: page.items("model cooccurrence"))
    finally:
        assert running.stop() == 0


def test_nothing_served_is_a_sentence(chromium: Any, tmp_path: Path) -> None:
    running = Running(tmp_path, tmp_path / "log")
    try:
        running.wait(lambda: httpx.get(f"{running._url()}/health/live"))
        page = PageBrowser(chromium, running.url)
        page.open()
        page.wait(lambda: "embedrec train" in page.one("main").text)
        assert page.texts(".problem")[0].startswith("Nothing is served yet: ")
    finally:
        assert running.stop() == 0


def test_colours_are_dark_or_light_and_have_contrast(page: PageBrowser) -> None:
    background = "return getComputedStyle(document.body).backgroundColor"
    for scheme, colour in (("dark", "rgb(22, 24, 28)"), ("light", "rgb(251, 250, 247)")):
        page.emulate("setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        page.open("/?item=item:41&exact=1&explain=1")
        page.wait_lists(SIMILAR)
        assert page.run(background) == colour
        assert page.run(CONTRAST) == []
    page.click("#theme")
    page.click("#theme")
    assert page.one("#theme").get_attribute("aria-label") == "Colours: dark"
    assert page.run(background) == "rgb(22, 24, 28)"
    page.open("/?item=item:41")
    page.wait_lists(SIMILAR)
    assert page.run(background) == "rgb(22, 24, 28)"


@pytest.mark.parametrize("row", HOSTILE)
def test_a_hostile_name_is_text(page: PageBrowser, row: int) -> None:
    page.open(f"/?item=item:{row}")
    page.wait_lists(SIMILAR)
    assert page.run("return document.querySelector('h1 bdi').textContent") == HOSTILE[row]
    assert page.driver.title == f"{HOSTILE[row]} · embedrec"
    assert page.run("return document.querySelectorAll('main script').length") == 0
    page.one("#query").send_keys(HOSTILE[row][:60])
    page.wait(lambda: HOSTILE[row] in page.texts("#matches bdi"))


def test_an_error_of_the_service_is_a_sentence(page: PageBrowser) -> None:
    page.open("/?item=nothing-like-it")
    page.wait(lambda: len(page.find(".problem")) == SIMILAR)
    assert page.texts(".problem")[0] == (
        "No item 'nothing-like-it' among the 60 of the vocabulary; give an id or a name."
    )
    page.refused = True
