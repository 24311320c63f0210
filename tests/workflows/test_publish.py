"""The content to publish of what can be exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.data.item_filter import IdList, ItemFilter
from embedrec.errors import SettingsError
from embedrec.export.policies.settings import Policies
from embedrec.export.write_lists import ExportSettings
from embedrec.publish.content import PublishContent
from embedrec.storage.workspace import Workspace
from embedrec.workflows.export import ExportSource, open_export_source
from embedrec.workflows.publish import build_publish_content


def built(
    workspace: Workspace, items: str | None = None, policies: Policies | None = None, **source: Any
) -> PublishContent:
    chosen = ExportSource(**source)
    opened = open_export_source(workspace, chosen)
    settings = ExportSettings(2, policies or Policies())
    return build_publish_content(opened, chosen, settings, opened.lists, items=items)


def test_an_index_publishes_neighbours_and_vectors(plays: Workspace) -> None:
    index = plays.find("index")
    content = built(plays, index=index.name)
    assert content.lists is not None and content.vectors is not None and content.max_k == 2
    assert content.vocab.ids.tolist() == list("abcd") and content.columns == ("item", "other")
    assert content.made_from == {  # as of earlier versions, so that served content is recognised
        "source": f"index {index.name}", "made_from": index.fingerprint, "popularity": None, "search": {},
    }  # fmt: skip
    only = built(plays, "neighbours", index=index.name)
    assert only.lists is not None and only.vectors is None
    vectors = built(plays, "vectors", index=index.name)
    assert vectors.lists is None and vectors.vectors is not None and vectors.space == content.space != ""


def test_a_model_of_lists_has_no_vectors(plays: Workspace) -> None:
    assert built(plays, model="cooccurrence").vectors is None
    with pytest.raises(
        SettingsError, match=r"model cooccurrence \(cooccurrence\) has no vectors; use --items neighbours"
    ):
        built(plays, "both", model="cooccurrence")


def test_sessions_and_recommendations_are_content(plays: Workspace, tmp_path: Path) -> None:
    sessions = built(plays, of="sessions", model="sknn")
    assert (sessions.of, sessions.columns, sessions.vectors) == ("sessions", ("session", "other"), None)
    assert sessions.results is sessions.vocab
    with pytest.raises(SettingsError, match=r"^model sknn has no vectors; export its lists, or name another model$"):
        built(plays, "both", of="sessions", model="sknn")
    file = tmp_path / "carts.csv"
    file.write_text("session,item\nu,a\nu,b\nv,c\n")
    histories = built(plays, of="recommendations", histories=file, model="cooccurrence")
    assert (histories.of, histories.columns) == ("recommendations", ("history", "item"))
    assert histories.vocab.ids.tolist() == ["u", "v"] and histories.results.ids.tolist() == list("abcde")


def test_filters_and_policies_make_other_content(plays: Workspace) -> None:
    model = {"model": "cooccurrence"}
    without = ItemFilter((), None, IdList.read("list", b"a\n"), None)
    contents = [
        built(plays, **model),
        built(plays, **model, allowed=without),
        built(plays, policies=Policies(min_score=0.1), **model),
        built(plays, policies=Policies(min_score=0.2), **model),
    ]
    assert len({content.fingerprint("x") for content in contents}) == 4
    lists = contents[1].lists
    assert lists is not None and not (lists.of(np.arange(4), 2).rows == 0).any()
    for refused in ({"allowed": without}, {"policies": Policies(min_score=0.1)}):
        with pytest.raises(SettingsError, match=r"^filters and policies apply to lists, which --items vectors l"):
            built(plays, "vectors", **refused)
