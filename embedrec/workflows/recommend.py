"""What recommends: a model, which looks at all its answers or searches an index of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from embedrec.errors import SettingsError
from embedrec.index.search_settings import AS_BUILT, SearchSettings
from embedrec.models.base import Model
from embedrec.models.serialization import load_model, with_popularity
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace
from embedrec.workflows.lineage import built_of, vector_model


@dataclass(frozen=True, eq=False)
class Recommender:
    """A model that is asked what comes next.

    source  its artifact
    used    the artifacts it takes, for notes
    """

    source: Artifact
    used: tuple[Artifact, ...]
    model: Model

    @property
    def index(self) -> Artifact | None:
        """The index that it searches; None where it looks at all answers."""
        return next((artifact for artifact in self.used if artifact.kind == "index"), None)


def open_answering(
    workspace: Workspace,
    model: str | None,
    index: str | None,
    settings: SearchSettings = AS_BUILT,
    *,
    popularity: float | None = None,
) -> Recommender:
    """A model, or an index of a model's answers with the model that it was built of.

    model, index  names; with neither, the latest model
    settings      of searches of an index, over those it was built with
    popularity    of a model, see `VectorModel.scale_norms`

    Raises SettingsError for an index of something else, settings that it does not have, a model that was trained anew
    since, and a popularity beside an index; ArtifactError for what is missing.
    """
    if index is not None:
        return _through(workspace, workspace.find("index", index, of="answers"), settings, popularity)
    source = workspace.find("model", model)
    settings.need_index(source.name)
    return Recommender(source, (source,), with_popularity(source, load_model(source), popularity))


def _through(workspace: Workspace, built: Artifact, settings: SearchSettings, popularity: float | None) -> Recommender:
    from embedrec.index.faiss_parameters import check_settings
    from embedrec.index.serialization import load_index

    if popularity is not None:
        raise SettingsError(
            f"the vectors in index {built.name} are as they are; leave --popularity out, or build the index with it"
        )
    source = built_of(workspace, built)
    index, found = load_index(built), vector_model(source)
    check_settings(settings, index.faiss, index.spec)
    if "popularity" in built.about:
        found = found.scale_norms(built.about["popularity"])
    searched = replace(index, settings=settings.over(index.settings))
    return Recommender(source, (built, source), found.using(searched))
