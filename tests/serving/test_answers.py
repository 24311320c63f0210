"""Answers equal those of the command line for the same question."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from embedrec.data.feature_conditions import Condition
from embedrec.data.features import Categories, Features
from embedrec.data.item_filter import IdList, ItemFilter
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.models.cooccurrence.cooccurrence import Cooccurrence
from embedrec.models.session_knn.variants import VSKNN
from embedrec.serving import answers
from embedrec.storage.workspace import Workspace
from embedrec.workflows.items import catalogue_items, open_catalogue, search_catalogue
from embedrec.workflows.neighbours import nearest_sessions, open_session_neighbours
from embedrec.workflows.recommend import open_recommender, recommend_items
from embedrec.workflows.similar import open_item_neighbours, similar_items
from embedrec.workflows.train import train_model
from tests.serving.conftest import Client, Serve

SOURCES = [("index", "flat"), ("model", "vectors"), ("model", "cooccurrence")]


def expected_similar(workspace: Workspace, kind: str, name: str, items: list[str], **given: Any) -> list[Any]:
    """The fields of the results of `similar_items`, by item."""
    source = open_item_neighbours(workspace.find(kind, name), popularity=given.pop("popularity", None))
    explain = given.pop("explain", False)
    lists = []
    for item in items:
        results = similar_items(workspace, source, [item], given.get("count"), given.get("allowed"), explain=explain)
        lists.append([(n.similar, n.name, n.rank, n.score, n.sessions) for n in results.neighbours])
    return lists


def similar_fields(answer: Any) -> list[Any]:
    return [
        [
            (n["item"], n["name"], n["rank"], n["score"], _sessions(n.get("sessions")))
            for n in result["neighbours"]
        ]
        for result in answer["results"]
    ]  # fmt: skip


def _sessions(sessions: list[dict[str, Any]] | None) -> list[tuple[Any, float]] | None:
    return None if sessions is None else [(s["session"], s["similarity"]) for s in sessions]


@pytest.mark.parametrize(("kind", "name"), SOURCES)
def test_similar_items_are_those_of_the_workflow(client: Client, plays: Workspace, kind: str, name: str) -> None:
    for item in "abcd":
        answer = client.get(f"/v1/similar/{item}?k=2&{kind}={name}").json()
        assert similar_fields(answer) == expected_similar(plays, kind, name, [item], count=2)
        assert answer["results"][0]["item"] == item
    answer = client.post("/v1/similar", {"items": list("dab"), kind: name}).json()
    assert similar_fields(answer) == expected_similar(plays, kind, name, list("dab"))
    assert [result["item"] for result in answer["results"]] == list("dab")
    version = (
        client.service.current().find("similar", *(name if kind == k else None for k in ("index", "model"))).version
    )
    assert answer["version"] == version


def test_many_requests_at_once_have_each_their_answer(client: Client, plays: Workspace) -> None:
    items = list("abcdbadc") * 8
    responses = client.send_all(*(("GET", f"/v1/similar/{item}", {}) for item in items))
    lists = [similar_fields(response.json())[0] for response in responses]
    assert lists == expected_similar(plays, "index", "flat", items)


def test_filters_are_those_of_the_workflow(client: Client, plays: Workspace) -> None:
    allowed = ItemFilter((), IdList("only", ("d", "b", "z")), IdList("exclude", ("b",)), None)
    answer = client.post("/v1/similar", {"items": ["a"], "only": ["d", "b", "z"], "exclude": ["b"], "k": 2}).json()
    assert similar_fields(answer) == expected_similar(plays, "index", "flat", ["a"], count=2, allowed=allowed)
    assert answer["messages"] == ["1 of 4 items are allowed", "1 of the 3 ids in only are not among the items"]
    assert client.get("/v1/similar/a?k=2&only=d&only=b&only=z&exclude=b").json() == answer


def test_popularity_is_that_of_the_workflow(client: Client, plays: Workspace) -> None:
    answer = client.get("/v1/similar/a?model=vectors&popularity=1").json()
    assert similar_fields(answer) == expected_similar(plays, "model", "vectors", ["a"], popularity=1.0)
    refused = client.get("/v1/similar/a?popularity=1")
    assert refused.status_code == 422
    assert refused.json()["detail"].startswith("popularity=… cannot change the existing index flat")


def test_explained_neighbours_name_sessions(client: Client, plays: Workspace) -> None:
    answer = client.get("/v1/similar/d?k=1&model=cooccurrence&explain=true").json()
    ((found,),) = similar_fields(answer)
    ((expected,),) = expected_similar(plays, "model", "cooccurrence", ["d"], count=1, explain=True)
    assert found[:4] == expected[:4]
    assert found[4] == [(session, round(score, 4)) for session, score in expected[4]]


def test_a_count_beyond_the_catalogue_has_a_message(client: Client) -> None:
    answer = client.get("/v1/similar/a?k=9").json()
    assert len(answer["results"][0]["neighbours"]) == 3
    assert answer["messages"] == ["an item has 3 others in a catalogue of 4, fewer than 9"]


@pytest.mark.parametrize("name", ["vectors", "cooccurrence", "sknn"])
@pytest.mark.parametrize("seen", [False, True])
def test_next_items_are_those_of_the_workflow(client: Client, plays: Workspace, name: str, seen: bool) -> None:
    recommender = open_recommender(plays, name, None)
    histories = ["a", "ab", "dcb"]
    expected = [
        recommend_items(plays, recommender, list(history), 3, exclude_seen=not seen).items for history in histories
    ]
    fields = [[(i.item, i.name, i.rank, i.score) for i in items] for items in expected]
    given = {"model": name, "k": 3, "exclude_seen": not seen}
    for history, wanted in zip(histories, fields, strict=True):
        answer = client.post("/v1/recommend", {"items": list(history), **given}).json()
        assert [tuple(item.values()) for item in answer["results"][0]["items"]] == wanted
    many = client.post("/v1/recommend", {"histories": [{"items": list(h)} for h in histories], **given}).json()
    assert [[tuple(item.values()) for item in result["items"]] for result in many["results"]] == fields


def test_filtered_and_explained_next_items_are_those_of_the_workflow(client: Client, plays: Workspace) -> None:
    allowed = ItemFilter((), None, IdList("exclude", ("c",)), None)
    results = recommend_items(plays, open_recommender(plays, "sknn", None), ["a"], 2, allowed, explain=True)
    answer = client.post(
        "/v1/recommend", {"items": ["a"], "model": "sknn", "k": 2, "exclude": ["c"], "explain": True}
    ).json()
    (found,) = answer["results"]
    assert [(i["item"], i["score"]) for i in found["items"]] == [(i.item, i.score) for i in results.items]
    assert [_sessions(i["sessions"]) for i in found["items"]] == [
        [(session, round(score, 4)) for session, score in i.sessions or ()] for i in results.items
    ]
    assert answer["messages"] == results.messages


def test_models_see_times_kinds_and_users(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    recommender = client.service.current().find("recommend", None, "sknn").recommender
    seen: list[Sessions] = []

    def recommend(model: Any, histories: Sessions, k: int, **more: Any) -> Any:
        seen.append(histories)
        return original(model, histories, k, **more)

    original = type(recommender.model).recommend
    monkeypatch.setattr(type(recommender.model), "recommend", recommend)
    timed = {"items": ["a", "b"], "times": [5, 9]}
    client.post("/v1/recommend", {**timed, "model": "sknn"})
    client.post("/v1/recommend", {**timed, "kinds": ["click", "buy"], "user": 7, "model": "sknn"})
    client.post("/v1/recommend", {"histories": [timed, {"items": ["c"], "times": [1]}], "model": "sknn"})
    assert [s.times.tolist() for s in seen if s.times is not None] == [[5, 9], [5, 9], [5, 9, 1]]
    assert seen[1].users is not None and seen[1].users.tolist() == [7]
    assert seen[1].kind_names is not None and seen[1].kind_names[seen[1].kinds].tolist() == ["click", "buy"]
    mixed = {"histories": [timed, {"items": ["c"]}], "model": "sknn"}
    assert client.post("/v1/recommend", mixed).status_code == 422


def test_unknown_items_are_refused_or_skipped(client: Client) -> None:
    refused = client.post("/v1/recommend", {"items": ["a", "zz"], "model": "sknn"})
    assert refused.status_code == 404 and "no item 'zz'" in refused.json()["detail"]
    given = {"items": ["zz", "a", "yy"], "times": [1, 2, 3], "model": "sknn", "skip_unknown": True}
    skipped = client.post("/v1/recommend", given).json()
    assert skipped["messages"] == ["2 of 3 items of a history are unknown and left out"]
    known = client.post("/v1/recommend", {"items": ["a"], "times": [2], "model": "sknn"}).json()
    assert skipped["results"] == known["results"]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "give items, a history, or histories, a list of them"),
        ({"items": ["a"], "histories": [{"items": ["a"]}]}, "give either items, times, kinds and user of one history"),
        ({"items": ["a"], "times": []}, "a history of 1 items needs as many times, but has 0"),
        ({"items": ["a"], "model": "flat"}, "no model 'flat' is served; served are vectors, cooccurrence, sknn"),
        ({"items": ["a"], "only": ["z"]}, "the filter allows none of the 4 items; relax its conditions"),
        (
            {"items": ["a"], "explain": True, "model": "cooccurrence"},
            "explain=True needs a session-kNN model; cooccurrence is a model of cooccurrence",
        ),
    ],
)
def test_requests_that_cannot_be_met_are_refused(client: Client, body: Any, detail: str) -> None:
    response = client.post("/v1/recommend", body)
    assert response.status_code == 422
    assert response.json()["detail"].startswith(detail)


def test_past_sessions_are_those_of_the_workflow(client: Client, plays: Workspace) -> None:
    source = open_session_neighbours(plays, "sknn", None)
    for body, items, session in (({"items": ["a", "b"]}, ["a", "b"], None), ({"session": 1}, [], "1")):
        answer = client.post("/v1/neighbours", {**body, "k": 3}).json()
        assert answer["sessions"] == [
            {"session" if key == "session" else key: value for key, value in asdict(found).items()}
            for found in nearest_sessions(source, items, session, 3)
        ]
    assert client.post("/v1/neighbours", {"items": ["a"], "session": 1}).status_code == 422
    assert client.post("/v1/neighbours", {"session": 99}).status_code == 404


def test_items_are_found_as_on_the_command_line(client: Client, plays: Workspace) -> None:
    catalogue = open_catalogue(plays, plays.find("model", "sknn"))
    answer = client.get("/v1/items?query=a&model=sknn").json()
    found = catalogue_items(catalogue, search_catalogue(catalogue, "a").rows)
    assert answer["items"] == [asdict(item) for item in found]
    assert (answer["nearly"], answer["total"]) == (False, 1)
    assert client.get("/v1/items?query=zzz").status_code == 404
    assert client.get("/v1/items").status_code == 422


GENRES = Categories(np.array([0, 0, 0, 1], dtype=np.int32), np.array(["space", "crime"], dtype=object))


@pytest.fixture
def films(tmp_path: Any) -> Workspace:
    """A workspace of films with names and a feature, ids with slashes, and the models "cooccurrence" and "vsknn"."""
    ids = ["film/1", "film/2", "Æon Flux?", "film/4"]
    names = ["Alien", "Aliens", "Æon Flux", "Heat"]
    base = Sessions.of_lists([[0, 1], [0, 1, 2], [0, 3], [2, 3]])
    vocab = Vocab(ids, names, base.vocab.counts)
    genres = Features(Vocab(ids), categorical={"genre": GENRES})
    sessions = Sessions(base.offsets, base.items, vocab, base.ids, item_features=genres)
    workspace = Workspace(tmp_path)
    sessions.save(workspace.folder("sessions", "films"), {})
    for recipe in (Cooccurrence(), VSKNN()):
        train_model(recipe, workspace.find("sessions", "films"), workspace.folder("model", recipe.name))
    return workspace


@pytest.mark.parametrize(
    ("path", "item"),
    [
        ("film%2F1", "film/1"),
        ("film/1", "film/1"),
        ("Alien", "film/1"),
        ("alien", "film/1"),
        ("%C3%86on%20Flux%3F", "Æon Flux?"),
        ("%C3%86on%20Flux", "Æon Flux?"),
    ],
)
def test_ids_and_names_may_hold_anything(films: Workspace, serve: Serve, path: str, item: str) -> None:
    client = serve(films)
    for _ in range(2):
        response = client.get(f"/v1/similar/{path}")
        assert response.status_code == 200, response.text
        assert response.json()["results"][0]["item"] == item


def test_near_items_are_named(films: Workspace, serve: Serve) -> None:
    response = serve(films).get("/v1/similar/Aliens2")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    near = response.json()["near"]
    assert {"item": "film/2", "name": "Aliens"} in near


def test_conditions_on_features_filter(films: Workspace, serve: Serve) -> None:
    client = serve(films)
    condition = ItemFilter((Condition.of("genre=crime"),), None, None, None)
    expected = expected_similar(films, "model", "cooccurrence", ["Alien"], allowed=condition)
    answer = client.get("/v1/similar/Alien?where=genre%3Dcrime").json()
    assert similar_fields(answer) == expected
    assert [n["item"] for n in answer["results"][0]["neighbours"]] == ["film/4"]
    wrong = client.get("/v1/similar/Alien?where=genre")
    assert wrong.status_code == 422 and "a condition is a feature" in wrong.json()["detail"]
    assert client.get("/v1/items?query=heat").json()["items"] == [
        {"item": "film/4", "name": "Heat", "count": 2, "features": {"genre": "crime"}}
    ]


def test_exact_neighbours_equal_those_of_the_model(client: Client) -> None:
    exact = client.get("/v1/similar/a", params={"exact": "true", "k": 3}).json()
    model = client.get("/v1/similar/a", params={"model": "vectors", "k": 3}).json()
    assert exact["results"] == model["results"]
    assert exact["version"].startswith("flat@")
    many = client.post("/v1/similar", {"items": ["a", "d"], "exact": True, "k": 3}).json()
    assert many["results"][0] == exact["results"][0]


def test_filters_and_unknown_names_are_searched_once(
    films: Workspace, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Features and names are read once for many requests, and answers stay the same."""
    client = serve(films)
    calls: list[str] = []

    def counting(name: str, function: Any) -> Any:
        return lambda *given, **more: calls.append(name) or function(*given, **more)

    monkeypatch.setattr(ItemFilter, "mask", counting("mask", ItemFilter.mask))
    monkeypatch.setattr(answers, "find_items", counting("names", answers.find_items))
    for path in ("Heat?where=genre%3Dspace", "Heat?where=genre%3Dcrime|space", "Aliens2"):
        first, second = (client.get(f"/v1/similar/{path}") for _ in range(2))
        assert (first.status_code, first.content) == (second.status_code, second.content)
    assert calls == ["names", "mask", "mask", "names"]
