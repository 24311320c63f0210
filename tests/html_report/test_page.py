"""The page: what it shows, that it loads nothing, and that no text of the data becomes part of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.data.features import Features, Lists
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import SettingsError, UnknownItemError
from embedrec.html_report.content import ReportContent, ReportSettings, collect_report
from embedrec.html_report.page import json_for_script, render_page, write_page
from embedrec.models.baselines.popular import Popular
from embedrec.models.cooccurrence.cooccurrence import Cooccurrence
from embedrec.models.word2vec.recipe import Word2Vec
from embedrec.progress import Report, quiet
from embedrec.storage import artifacts
from embedrec.storage.workspace import Workspace
from embedrec.workflows.build_index import IndexSettings, build_index_artifact
from embedrec.workflows.compare import comparison_record, default_metrics, resolve_settings
from embedrec.workflows.evaluate import describe_task, evaluate_task, open_evaluation_task
from embedrec.workflows.evaluated_models import model_to_evaluate
from embedrec.workflows.lineage import counts
from embedrec.workflows.train import train_model
from tests.conftest import of_lists
from tests.html_report.reading import read_page

EVIL = [
    "<script>alert(1)</script>", "</script><script>alert(2)</script>", "<img src=x onerror=alert(3)>", '" onload="x',
    "' onclick='x", "&lt;b&gt;", "<!--", "]]>", "\u2028line", "{data}", "</style>", "javascript:alert(4)", "a\x00b",
    "\ud800", "nul\x1b", "<svg/onload=alert(5)>",
]  # fmt: skip


def evil_sessions(evil: list[str]) -> Sessions:
    """Sessions whose ids, names and labels are what strangers might choose."""
    rng = np.random.default_rng(0)
    vocab = Vocab([f"{text}{n}" for n, text in enumerate(evil * 2)], names=np.array(evil * 2, dtype=object))
    lists = [rng.choice(vocab.ids, 6, replace=False).tolist() for _ in range(60)]
    made = of_lists(lists, vocab)
    offsets = np.arange(len(vocab) + 1)
    labels = Lists(offsets, np.arange(len(vocab)) % len(evil), np.array(evil, dtype=object))
    features = Features(vocab, lists={"<i>tags": labels})
    ids = np.array([f"<b>{s}" for s in range(len(made))], dtype=object)
    return Sessions(made.offsets, made.items, made.vocab, ids, item_features=features)


def workspace_of(sessions: Sessions, folder: Path) -> Workspace:
    """Sessions with a held-out part, three models, an index."""
    from embedrec.splitting.rules import Random
    from embedrec.workflows.split import write_split

    workspace = Workspace(folder)
    sessions.save(workspace.folder("sessions", "all"), {**counts(sessions), "source": "<u>table"})
    whole = artifacts.read(workspace.folder("sessions", "all"), "sessions")
    source, _ = write_split(whole, workspace.folder("sessions", "part"), Random(0.2))
    for recipe in (Popular(), Word2Vec(dim=4, epochs=3, min_count=1), Cooccurrence()):
        train_model(recipe, source, workspace.folder("model", recipe.name))
    build_index_artifact(workspace.find("model", "word2vec"), workspace.folder("index", "flat"), IndexSettings("flat"))
    return workspace


def compared(workspace: Workspace) -> dict[str, Any]:
    trial = open_evaluation_task(workspace.find("sessions", "part"))
    terms = resolve_settings(trial, (1, 5), "conservative", None, "miss", 20, 0)
    done = {}
    for name in ("popular", "word2vec"):
        model = model_to_evaluate(workspace, name, trial)
        done[name] = model, evaluate_task(trial, model.model, terms)
    return {**describe_task(trial, terms), **comparison_record(done, default_metrics(5, labelled=False), trial.train)}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    safe = [text for text in EVIL if text != "\ud800"]  # cannot be saved
    return workspace_of(evil_sessions(safe), tmp_path_factory.mktemp("page"))


def about_all(
    place: Workspace, tables: list[dict[str, Any]] | None = None, report: Report = quiet, **settings: Any
) -> ReportContent:
    return collect_report(
        place,
        "part",
        ("popular", "word2vec", "cooccurrence"),
        ("flat",),
        ReportSettings(**settings),
        comparison=compared(place),
        tables=tables or (),
        report=report,
    )


def test_texts_of_strangers_stay_texts(place: Workspace) -> None:
    tables = [{"title": text, "note": text, "rows": [{text: text, "x": text}]} for text in EVIL]
    subject = about_all(place, tables=tables)
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
    assert "</script><script>alert(2)</script>" in names
    assert "<" not in text.split('id="page-data">')[1].split("</script>")[0]


def test_it_runs_no_script_but_its_own(place: Workspace) -> None:
    import base64
    import hashlib

    text = render_page("t", about_all(place))
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    own = next(script for kind, script in read_page(text).scripts if not kind)
    digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
    assert policy.replace("&#x27;", "'") == (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; base-uri 'none'; "
        "form-action 'none'"
    )


def test_the_first_line_counts(place: Workspace) -> None:
    assert "part: 1 model, 0 indexes" in render_page("t", collect_report(place, "part", ("popular",), ()))
    assert "part: 0 models, 1 index<" in render_page("t", collect_report(place, "part", (), ("flat",)))


def test_the_seed_places_the_map(place: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def on_a_plane(embeddings: Any, rows: np.ndarray, way: str, *, seed: int) -> tuple[np.ndarray, str]:
        asked.append((way, seed))
        return np.zeros((len(rows), 2)), "zeros"

    monkeypatch.setattr("embedrec.html_report.content.project_to_plane", on_a_plane)
    found = collect_report(place, "part", ("word2vec",), (), ReportSettings(method="umap", seed=7))
    assert asked == [("umap", 7)] and found.map is not None and found.map["method"] == "zeros"


def test_every_section_is_there_and_linked(place: Workspace) -> None:
    tables = [{"title": "T", "note": "", "rows": [{"": "a", "x": "1"}]}]
    text = render_page("t", about_all(place, tables=tables))
    sections = re.findall(r'<section id="(\w+)">', text)
    assert sections == ["data", "tables", "comparison", "kinds", "training", "indexes", "items", "near", "models"]
    assert re.findall(r'<a href="#(\w+)">', text) == sections
    assert "prefers-color-scheme: dark" in text and 'name="viewport"' in text


def test_what_is_missing_is_left_out(place: Workspace) -> None:
    bare = collect_report(place, "all", (), ())
    plain = render_page("t", bare)
    assert re.findall(r'<section id="(\w+)">', plain) == ["data"]
    read_page(plain)
    assert read_page(render_page("t", collect_report(place, "part", ("popular",), ()))).data == {
        "map": None,
        "near": None,
    }


def test_the_figures_are_those_of_the_comparison(place: Workspace) -> None:
    subject = about_all(place)
    assert subject.comparison is not None
    texts = read_page(render_page("t", subject)).texts
    rows = subject.comparison["rows"]
    for row in rows:
        assert row["model"] in texts and f"{row['recall@5']:.4f}" in texts
        mrr = [subject.comparison["metrics"][row["model"]][f"mrr@5{end}"] for end in ("", "_low", "_high")]
        assert "{}: {:.4f} ({:.4f} to {:.4f})".format(row["model"], *mrr) in texts
    best, other = rows
    behind = [other[f"behind{end}"] for end in ("", "_low", "_high")]
    assert f"Gap to {best['model']} in recall@5" in texts
    assert "{}: {:.4f} ({:.4f} to {:.4f})".format(other["model"], *behind) in texts


def test_one_model_is_behind_nobody(place: Workspace) -> None:
    said = compared(place)
    said["rows"] = [{k: v for k, v in said["rows"][0].items() if not k.startswith("behind")}]
    texts = read_page(render_page("t", collect_report(place, "part", ("popular",), (), comparison=said))).texts
    assert not any(text.startswith("Gap to") for text in texts) and "recall@5" in texts


def test_models_without_neighbours_are_named(place: Workspace) -> None:
    texts = read_page(render_page("t", about_all(place))).texts
    assert any(text.endswith("Omitted, because they have no item neighbours: popular.") for text in texts)


def test_settings_are_as_toml_has_them(place: Workspace) -> None:
    texts = read_page(render_page("t", about_all(place))).texts
    assert {"false", "days", "–"} <= set(texts) and not {"False", "None"} & set(texts)


def test_indexes_are_measured_when_asked(place: Workspace) -> None:
    told: list[tuple[Any, ...]] = []
    subject = about_all(place, curves=True, report=lambda event, **n: told.append((n["done"], n["total"], n["unit"])))
    assert told[-1] == (1, 1, "indexes")
    assert [point["recall@20"] for point in subject.indexes[0]["curve"]] == [1]
    assert any("measured for this page" in text for text in read_page(render_page("t", subject)).texts)


def test_neighbours_are_those_of_the_models(place: Workspace) -> None:
    from embedrec.workflows.similar import open_item_neighbours

    item = f"{EVIL[0]}0"
    found = about_all(place, items=[item]).near
    assert found is not None and found["models"] == ["word2vec", "cooccurrence"]
    (said,) = found["items"]
    assert said["id"] == item
    for name, listed in zip(found["models"], said["lists"], strict=True):
        nearest = open_item_neighbours(place.find("model", name))
        want = nearest.neighbours(nearest.vocab.rows([item]), 10)
        rows = [r for r in want.rows[0].tolist() if r >= 0]
        assert [pair[0] for pair in listed] == [nearest.vocab.name(row) for row in rows]


def test_the_map_is_of_the_most_popular_and_coloured_by_labels(place: Workspace) -> None:
    subject = about_all(place)
    assert subject.map is not None
    mentions = [item[2] for item in subject.map["items"]]
    assert mentions == sorted(mentions, reverse=True)
    assert (subject.map["by"], subject.map["method"], len(subject.map["groups"])) == (
        "<i>tags",
        "principal components",
        8,
    )
    assert subject.map["groups"][-1] == "other"
    for _, name, _, x, y, group in subject.map["items"]:
        assert subject.map["groups"][group] in (name, "other")
        assert -1 <= x <= 1 and -1 <= y <= 1


def test_colours_by_popularity_and_by_a_file(place: Workspace, tmp_path: Path) -> None:
    rows = [{"item": f"{EVIL[0]}0", "labels": ["one", "two"]}, {"item": f"{EVIL[1]}1", "labels": ["two"]}]
    (tmp_path / "genres.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = about_all(place, label=str(tmp_path / "genres.jsonl")).map
    assert found is not None
    of = {item[0]: found["groups"][item[5]] for item in found["items"]}
    assert found["groups"] == ["two", "one", "other"] and found["by"] == "genres"
    assert (of[f"{EVIL[0]}0"], of[f"{EVIL[1]}1"], of[f"{EVIL[2]}2"]) == ("one", "two", "other")
    with pytest.raises(SettingsError, match=r"'tags' is neither a file nor a list .*; did you mean '<i>tags'"):
        about_all(place, label="tags")
    with pytest.raises(SettingsError, match="none of the models has vectors"):
        collect_report(place, "part", ("popular",), (), ReportSettings(label="<i>tags"))
    with pytest.raises(UnknownItemError):
        about_all(place, items=["nothing like it"])


def test_the_file_is_the_page(place: Workspace, tmp_path: Path) -> None:
    subject = about_all(place)
    write_page(tmp_path / "deep" / "r.html", "t", subject)
    assert (tmp_path / "deep" / "r.html").read_text(encoding="utf-8") == render_page("t", subject)


def test_characters_that_act_unseen_are_written_out(place: Workspace) -> None:
    """An override of direction would turn round what stands behind it; a table cell and the script's values alike."""
    odd = "a\u202eb\x9bc\x7f"
    tables = [{"title": odd, "note": odd, "rows": [{odd: odd, "x": "y"}]}]
    text = render_page(odd, about_all(place, tables=tables))
    assert not {"\u202e", "\x9b", "\x7f"} & set(text)
    assert "a\\u202eb\\x9bc\\x7f" in read_page(text).texts
    shown = "a\\u202eb\\x9bc\\x7f"
    assert json.loads(json_for_script({"items": [(odd, 1.5)]})) == {"items": [[shown, 1.5]]}
