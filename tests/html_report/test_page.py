"""The page: its sections, its Content-Security-Policy, and escaping of the texts of the data."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from embedrec.evaluation.comparison_summary import summarise_comparison
from embedrec.html_report import page
from embedrec.html_report.content import collect_report
from embedrec.html_report.page import json_for_script, render_page, write_page
from embedrec.storage.workspace import Workspace
from embedrec.version import __version__
from tests.html_report.pages import HTML_TEXTS, comparison_of, full_content
from tests.html_report.reading import read_page


def test_texts_of_the_data_are_escaped(report_workspace: Workspace) -> None:
    tables = [{"title": text, "note": text, "rows": [{text: text, "x": text}]} for text in HTML_TEXTS]
    subject = full_content(report_workspace, tables=tables)
    text = render_page("<script>title</script>", subject)
    plain = read_page(text)
    assert plain.tags["script"] == 2  # the values, and the page's own
    assert {"img", "iframe", "b", "u", "i"}.isdisjoint(set(plain.tags) - {"b"})
    assert plain.tags["b"] == text.count('<div class="tile"><b>')
    assert "<script>title</script>" in plain.texts
    assert "<script>alert(1)</script>" in plain.texts
    assert "\ufffd" in "".join(plain.texts) and "\x00" not in text and "\x1b" not in text
    text.encode()  # no surrogates
    names = [item[1] for item in plain.data["map"]["items"]]
    assert any(name.startswith("</script><script>alert(2)</script>") for name in names)
    assert "<" not in text.split('id="page-data">')[1].split("</script>")[0]


def test_the_policy_allows_only_the_script_of_the_page(report_workspace: Workspace) -> None:
    import base64
    import hashlib

    text = render_page("t", full_content(report_workspace))
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    own = next(script for kind, script in read_page(text).scripts if not kind)
    digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
    assert policy.replace("&#x27;", "'") == (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; base-uri 'none'; "
        "form-action 'none'"
    )


def test_the_subtitle_counts_models_and_indexes(report_workspace: Workspace) -> None:
    assert "part: 1 model, 0 indexes" in render_page("t", collect_report(report_workspace, "part", ("popular",), ()))
    assert "part: 0 models, 1 index<" in render_page("t", collect_report(report_workspace, "part", (), ("flat",)))


def test_every_section_is_linked(report_workspace: Workspace) -> None:
    tables = [{"title": "T", "note": "", "rows": [{"": "a", "x": "1"}]}]
    text = render_page("t", full_content(report_workspace, tables=tables))
    sections = re.findall(r'<section id="(\w+)">', text)
    assert sections == ["comparison", "kinds", "tables", "near", "items", "data", "training", "indexes", "models"]
    assert re.findall(r'<a href="#(\w+)">', text) == sections
    assert "prefers-color-scheme: dark" in text and 'name="viewport"' in text


def test_sections_without_content_are_left_out(report_workspace: Workspace) -> None:
    bare = collect_report(report_workspace, "all", (), ())
    plain = render_page("t", bare)
    assert re.findall(r'<section id="(\w+)">', plain) == ["data"]
    read_page(plain)
    assert read_page(render_page("t", collect_report(report_workspace, "part", ("popular",), ()))).data == {
        "map": None,
        "near": None,
    }


def test_metrics_equal_those_of_the_comparison(report_workspace: Workspace) -> None:
    subject = full_content(report_workspace)
    assert subject.comparison is not None
    texts = read_page(render_page("t", subject)).texts
    rows = subject.comparison["rows"]
    for row in rows:
        assert row["model"] in texts and f"{row['recall@5']:.4f}" in texts
        mrr = [subject.comparison["metrics"][row["model"]][f"mrr@5{end}"] for end in ("", "_low", "_high")]
        assert "{}: {:.4f} ({:.4f} to {:.4f})".format(row["model"], *mrr) in texts
    best, other = rows
    gap = [other[f"gap_to_best{end}"] for end in ("", "_low", "_high")]
    assert f"Gap to {best['model']} in recall@5" in texts
    assert "{}: {:.4f} ({:.4f} to {:.4f})".format(other["model"], *gap) in texts


def test_one_model_has_no_gap_to_the_best(report_workspace: Workspace) -> None:
    result = comparison_of(report_workspace)
    result["rows"] = [{k: v for k, v in result["rows"][0].items() if not k.startswith("gap_to_best")}]
    texts = read_page(
        render_page("t", collect_report(report_workspace, "part", ("popular",), (), comparison=result))
    ).texts
    assert not any(text.startswith("Gap to") for text in texts) and "recall@5" in texts


def test_models_without_neighbours_are_listed(report_workspace: Workspace) -> None:
    texts = read_page(render_page("t", full_content(report_workspace))).texts
    assert any(text.endswith("Omitted, because they have no item neighbours: popular.") for text in texts)


def test_settings_are_written_as_in_toml(report_workspace: Workspace) -> None:
    texts = read_page(render_page("t", full_content(report_workspace))).texts
    assert {"false", "days", "–"} <= set(texts) and not {"False", "None"} & set(texts)


def test_indexes_are_measured_on_request(report_workspace: Workspace) -> None:
    progress: list[tuple[Any, ...]] = []
    subject = full_content(
        report_workspace, curves=True, report=lambda event, **n: progress.append((n["done"], n["total"], n["unit"]))
    )
    assert progress[-1] == (1, 1, "indexes")
    assert [point["recall@20"] for point in subject.indexes[0]["curve"]] == [1]
    texts = read_page(render_page("t", subject)).texts
    assert "Queries per second by recall" not in texts  # the one point of a Flat index is in the table
    assert "Measurements at build time" in texts


def test_the_file_contains_the_page(report_workspace: Workspace, tmp_path: Path) -> None:
    subject = full_content(report_workspace)
    before = date.today().isoformat()
    write_page(tmp_path / "deep" / "r.html", "t", subject, command="embedrec report <b>")
    text = (tmp_path / "deep" / "r.html").read_text(encoding="utf-8")
    days = (before, date.today().isoformat())
    assert text in [render_page("t", subject, command="embedrec report <b>", day=day) for day in days]
    texts = read_page(text).texts
    assert "embedrec report <b>" in texts
    assert any(f"{day}, embedrec {__version__} by " in texts for day in days)


def test_the_best_model_comes_first(report_workspace: Workspace) -> None:
    subject = full_content(report_workspace)
    assert subject.comparison is not None
    sentence = summarise_comparison(subject.comparison["rows"])
    text = render_page("t", subject)
    assert sentence is not None and sentence in read_page(text).texts
    assert text.index('class="result"') < text.index("<nav>") < text.index("<main>")
    assert 'class="result"' not in render_page("t", collect_report(report_workspace, "part", ("popular",), ()))


def test_charts_without_information_are_left_out(report_workspace: Workspace) -> None:
    """One dot of one model, one group of test cases, one bar of session lengths."""
    subject = full_content(report_workspace)
    assert subject.comparison is not None
    tables = ["By length of the history: recall@5", "By popularity of the target: recall@5"]
    assert {*tables, "Sessions by length"} & set(read_page(render_page("t", subject)).texts)
    one = {**subject.comparison, "rows": subject.comparison["rows"][:1]}
    for key in ("by_length", "by_popularity"):
        one[key] = {model: lines[:1] for model, lines in one[key].items()}
    sessions = {**subject.sessions, "histogram": subject.sessions["histogram"][:1]}
    bare = replace(subject, sessions=sessions, comparison=one, indexes=[], models=[], ranks=[], share=[])
    read = read_page(render_page("t", bare))
    assert "svg" not in read.tags and not {*tables, "Sessions by length"} & set(read.texts)
    assert f"{one['rows'][0]['recall@5']:.4f}" in read.texts


def test_the_style_has_a_sequential_scale_in_both_themes() -> None:
    """Brightness changes in one direction from popular to rare items: readable without seeing hues."""
    css = (Path(page.__file__).parent / "page.css").read_text(encoding="utf-8")
    light, dark = (
        [int(value[0:2], 16) * 0.299 + int(value[2:4], 16) * 0.587 + int(value[4:6], 16) * 0.114 for value in theme]
        for theme in (re.findall(r"--s\d: #(\w{6})", css)[:5], re.findall(r"--s\d: #(\w{6})", css)[5:])
    )
    assert len(light) == len(dark) == 5
    assert light == sorted(light) and dark == sorted(dark, reverse=True)


def test_invisible_characters_are_escaped(report_workspace: Workspace) -> None:
    """A direction override would reverse the text after it, in table cells and in the JSON data alike."""
    odd = "a\u202eb\x9bc\x7f"
    tables = [{"title": odd, "note": odd, "rows": [{odd: odd, "x": "y"}]}]
    text = render_page(odd, full_content(report_workspace, tables=tables))
    assert not {"\u202e", "\x9b", "\x7f"} & set(text)
    assert "a\\u202eb\\x9bc\\x7f" in read_page(text).texts
    shown = "a\\u202eb\\x9bc\\x7f"
    assert json.loads(json_for_script({"items": [(odd, 1.5)]})) == {"items": [[shown, 1.5]]}
