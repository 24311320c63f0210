"""Lists before and after each policy are those of an export with the policies so far."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from embedrec.errors import SettingsError
from embedrec.export.file_format import layout_of
from embedrec.export.policies.settings import Policies
from embedrec.export.write_lists import ExportSettings, export_lists
from embedrec.serving.explore import policy_steps
from embedrec.serving.explore.policy_steps import parse_caps
from embedrec.workflows.export import ExportSource, open_export_source
from tests.serving.conftest import Client

POLICIES: dict[str, Any] = {"min_score": 0.02, "mutual": True, "csls": 5, "discount": 0.3, "mmr": 0.2, "back_off": True}


def steps_of(client: Client, **given: Any) -> list[dict[str, Any]]:
    response = client.get("/v1/policies", params=given)
    assert response.status_code == 200, response.text
    steps: list[dict[str, Any]] = response.json()["steps"]
    return steps


def exported(client: Client, folder: Path, model: str, policies: Policies, item: str) -> list[str]:
    """The list of an item in an export."""
    opened = open_export_source(client.service.workspace, ExportSource(model=model))
    file = folder / "lists.tsv"
    settings = ExportSettings(5, policies, 15, layout_of(str(file)))
    export_lists(file, opened.lists, settings, opened.inputs, {})
    return [line.split("\t")[2] for line in file.read_text().splitlines() if line.split("\t")[0] == item]


def test_the_last_step_is_the_list_of_an_export(explored: Client, tmp_path: Path) -> None:
    steps = steps_of(explored, item="item:22", model="cooccurrence", k=5, candidates=15, cap="tag=2", **POLICIES)
    assert [step["policy"] for step in steps] == [
        "", "min-score 0.02", "mutual", "csls 5", "discount 0.3", "cap tag=2", "mmr 0.2", "back-off",
    ]  # fmt: skip
    assert len(steps[0]["neighbours"]) == 15
    expected = exported(explored, tmp_path, "cooccurrence", Policies(**POLICIES, caps={"tag": 2}), "item:22")
    assert [one["item"] for one in steps[-1]["neighbours"]] == expected
    assert len(expected) == 5


def test_without_policies_the_only_step_is_the_list(explored: Client) -> None:
    (step,) = steps_of(explored, item="river 1", index="flat", k=3)
    similar = explored.get("/v1/similar/item:1", params={"k": 3, "index": "flat"}).json()
    assert step == {"policy": "", "neighbours": similar["results"][0]["neighbours"]}


def test_a_filter_applies_before_policies(explored: Client) -> None:
    steps = steps_of(explored, item="item:1", model="cooccurrence", k=3, where="year>=2000", discount=0.5)
    items = {int(one["item"].removeprefix("item:")) for step in steps for one in step["neighbours"]}
    assert items and min(items) >= 10
    steps = steps_of(explored, item="item:1", model="cooccurrence", k=2, only=["item:2", "item:5"], discount=0.5)
    assert {one["item"] for step in steps for one in step["neighbours"]} == {"item:2", "item:5"}
    excluded = steps_of(explored, item="item:1", model="cooccurrence", k=2, exclude=["item:2"], discount=0.5)
    assert "item:2" not in {one["item"] for step in excluded for one in step["neighbours"]}


def test_policies_that_need_all_lists_are_limited(explored: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_steps, "MOST_LISTS", 50)
    response = explored.get("/v1/policies", params={"item": "item:1", "index": "flat", "mutual": "true"})
    assert (response.status_code, response.json()["detail"]) == (
        422,
        "mutual and csls need the lists of all 60 items, and are shown for up to 50 only; leave them out",
    )


def test_invalid_policies_are_refused(explored: Client) -> None:
    for given, detail in (
        ({"mmr": "2"}, "mmr must be between 0 and 1"),
        ({"cap": "artist"}, "cap must be ATTRIBUTE=N, such as artist=2, not 'artist'"),
        ({"cap": "artist=2"}, "artist"),
        ({"k": 5, "discount": 1, "candidates": 3}, "candidates must be at least k = 5; it is 3"),
    ):
        response = explored.get("/v1/policies", params={"item": "item:1", "model": "cooccurrence", **given})
        assert response.status_code == 422
        assert detail in response.json()["detail"]


def test_caps_are_parsed() -> None:
    assert parse_caps(["a=1", "b=c=20"]) == {"a": 1, "b=c": 20}
    assert parse_caps([]) is None
    for text in ("a", "=1", "a=", "a=x", "a=-1", "a=1234567890"):
        with pytest.raises(SettingsError):
            parse_caps([text])
