"""Lines of artifacts, also of those whose manifests say little, or what is not so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from embedrec.errors import ArtifactError
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.storage.lineage import line_of, newest_of_line, other_lines, outdated_by, stale
from embedrec.storage.workspace import Workspace
from embedrec.workflows.lineage import provenance
from embedrec.workflows.similar import find_item_source, item_sources


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def put(workspace: Workspace, kind: str, name: str, content: str = "", **about: Any) -> Artifact:
    folder = workspace.folder(kind, name)
    with artifacts.writing(folder, kind, about) as draft:
        draft.path("a").write_text(content)
    return artifacts.read(folder)


def test_artifacts_of_one_origin_have_one_lineage(workspace: Workspace) -> None:
    log = put(workspace, "sessions", "log")
    part = put(workspace, "sessions", "part", of=provenance(log))
    model = put(workspace, "model", "m", trained_on=provenance(part))
    index = put(workspace, "index", "i", of="items", indexed=provenance(model))
    other = put(workspace, "model", "vectors", file="x.vec")
    assert {line_of(workspace, a) for a in (log, part, model, index)} == {("sessions", "log")}
    assert line_of(workspace, other) == ("model", "vectors")
    assert newest_of_line(workspace, index, [model, index, other]) == index
    assert other_lines(workspace, index, [model, index, other]) == [other]
    assert all(stale(workspace, a) is None for a in (log, part, model, index, other))


def test_a_retrained_model_makes_its_index_stale(workspace: Workspace) -> None:
    a, b = put(workspace, "sessions", "a"), put(workspace, "sessions", "b", "b")
    model = put(workspace, "model", "m", "1", trained_on=provenance(a))
    index = put(workspace, "index", "i", of="items", indexed=provenance(model), trained_on=provenance(a))
    again = put(workspace, "model", "m", "2", trained_on=provenance(b))
    assert (line_of(workspace, index), line_of(workspace, again)) == (("sessions", "a"), ("sessions", "b"))
    assert "model m was retrained after index i was built from it" in str(stale(workspace, index))
    assert outdated_by(workspace, again) == [index]


def test_the_source_of_neighbours_follows_the_newest_index(workspace: Workspace) -> None:
    a, b = put(workspace, "sessions", "a"), put(workspace, "sessions", "b")
    lists = {"recipe": "cooccurrence"}
    put(workspace, "model", "old", trained_on=provenance(a), **lists)
    model = put(workspace, "model", "m", trained_on=provenance(a), recipe="svd")
    put(workspace, "model", "small", trained_on=provenance(b), **lists)
    assert find_item_source(workspace).name == "small"  # there is no index that tells what is in use
    put(workspace, "index", "i", of="items", indexed=provenance(model))
    put(workspace, "model", "later", trained_on=provenance(b), **lists)
    assert find_item_source(workspace).name == "i"
    put(workspace, "model", "newest", trained_on=provenance(a), **lists)
    assert find_item_source(workspace).name == "newest"
    assert [s.name for s in item_sources(workspace)] == ["old", "small", "i", "later", "newest"]


_ORIGINS = {"sessions": "of", "model": "trained_on", "index": "indexed"}


@pytest.mark.parametrize("value", ["x", 3, [], {}, {"name": 3}])
@pytest.mark.parametrize("kind", _ORIGINS)
def test_manifests_without_a_valid_origin_are_refused(workspace: Workspace, kind: str, value: Any) -> None:
    with pytest.raises(ArtifactError, match="contains an invalid value"):
        put(workspace, kind, "m", **{_ORIGINS[kind]: value})


@pytest.mark.parametrize("value", [None, {"name": "../../etc"}, {"name": "absent"}, {"name": "m"}])
def test_unknown_origins_make_nothing_stale(workspace: Workspace, value: Any) -> None:
    """Old artifacts, forged ones, ones whose origin is gone, and circles: nothing is known to have changed."""
    saved = [put(workspace, kind, "m", **{key: value}) for kind, key in _ORIGINS.items()]
    for artifact in saved:
        line_of(workspace, artifact)
        assert stale(workspace, artifact) is None
        assert isinstance(outdated_by(workspace, artifact), list)


def test_a_damaged_origin_makes_nothing_stale(workspace: Workspace) -> None:
    model = put(workspace, "model", "m")
    index = put(workspace, "index", "i", indexed=provenance(model))
    (model.folder / "manifest.json").write_text("{")
    assert stale(workspace, index) is None
    assert line_of(workspace, index) == ("model", "m")


def test_the_newest_index_decides_though_it_is_stale(workspace: Workspace) -> None:
    model = put(workspace, "model", "m", "1")
    index = put(workspace, "index", "i", indexed=provenance(model))
    put(workspace, "model", "m", "2")
    assert find_item_source(workspace) == index
