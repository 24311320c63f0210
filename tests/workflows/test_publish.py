"""The content to publish of an index or a model."""

from __future__ import annotations

from typing import Any

import pytest

from embedrec.errors import SettingsError
from embedrec.index.search_settings import AS_BUILT
from embedrec.storage.workspace import Workspace
from embedrec.workflows.publish import build_publish_content

OPTIONS: dict[str, Any] = {"count": 2, "popularity": None, "settings": AS_BUILT}


def test_an_index_publishes_neighbours_and_vectors(plays: Workspace) -> None:
    content = build_publish_content(plays.find("index"), items=None, **OPTIONS)
    assert content.neighbours is not None and content.vectors is not None
    assert content.vocab.ids.tolist() == list("abcd")
    only = build_publish_content(plays.find("index"), items="neighbours", **OPTIONS)
    assert only.neighbours is not None and only.vectors is None
    vectors = build_publish_content(plays.find("index"), items="vectors", **OPTIONS)
    assert vectors.neighbours is None and vectors.vectors is not None


def test_a_model_of_lists_has_no_vectors(plays: Workspace) -> None:
    source = plays.find("model", "cooccurrence")
    assert build_publish_content(source, items=None, **OPTIONS).vectors is None
    with pytest.raises(
        SettingsError, match=r"model cooccurrence \(cooccurrence\) has no vectors; use --items neighbours"
    ):
        build_publish_content(source, items="both", **OPTIONS)
