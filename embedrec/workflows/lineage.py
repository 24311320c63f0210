"""What artifacts come from: sessions, model, index; and their vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from embedrec.data.features import Features
from embedrec.data.item_text import apart
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import EmbedrecError, SettingsError
from embedrec.models.neighbour_lists import ListsModel
from embedrec.models.serialization import load_model
from embedrec.models.vector_model import VectorModel
from embedrec.readers.tabular.bad_rows import BadRows
from embedrec.readers.tabular.feature_tables import side_table
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace
from embedrec.vectors.embeddings import Embeddings


def item_vectors(source: Artifact) -> Embeddings:
    """The item embeddings of a model artifact. Raises SettingsError when it is a model without vectors."""
    return vector_model(source).embeddings


def vector_model(source: Artifact) -> VectorModel:
    """The model of an artifact. Raises SettingsError when it is one without vectors."""
    model = load_model(source)
    if isinstance(model, ListsModel):
        raise SettingsError(
            f"model {source.name} ({source.about['recipe']}) has no vectors; `embedrec similar` and `embedrec export` "
            f"take it without an index, with --model {source.name}"
        )
    if not isinstance(model, VectorModel):
        raise SettingsError(
            f"model {source.name} ({source.about['recipe']}) has no vectors; "
            "train word2vec, or name another model with --model"
        )
    return model


def counts(sessions: Sessions) -> dict[str, int]:
    """How much sessions hold, for their manifest."""
    return {"sessions": len(sessions), "items": len(sessions.vocab), "events": len(sessions.items)}


def provenance(source: Artifact) -> dict[str, str]:
    """What names an artifact in the manifest of what was made from it."""
    return {"name": source.name, "fingerprint": source.fingerprint, "created": source.created}


def origin(model: Artifact) -> dict[str, Any]:
    """What an index keeps of its model beside `provenance`: the model may be trained again, or not come along."""
    return {"trained_on": model.about.get("trained_on"), "model_settings": model.about.get("settings")}


def trained_on(workspace: Workspace, model: Artifact) -> Artifact:
    """The sessions artifact that a model was trained on. Raises SettingsError when it has changed since."""
    said = model.about.get("trained_on")
    if said is None:
        raise SettingsError(f"model {model.name} came from a file, so its past sessions are not known")
    sessions = workspace.find("sessions", said["name"])
    if sessions.fingerprint != said["fingerprint"]:
        raise SettingsError(
            f"sessions {sessions.name} were written anew since model {model.name} was trained on them; train it again"
        )
    return sessions


def known_features(workspace: Workspace, model: Artifact) -> Features | None:
    """What is known of a model's items: the features of the sessions it was trained on; None where there are none.

    Raises SettingsError and ArtifactError where the sessions have changed since, or are gone.
    """
    if model.about.get("trained_on") is None:  # imported vectors come from no sessions
        return None
    return Sessions.load(trained_on(workspace, model)).item_features


def built_of(workspace: Workspace, index: Artifact) -> Artifact:
    """The model artifact that an index was built of. Raises SettingsError when it has changed since."""
    said = index.about["indexed"]
    source = workspace.find("model", said["name"])
    if source.fingerprint != said["fingerprint"]:
        raise SettingsError(f"model {source.name} was trained anew since index {index.name} was built; build it again")
    return source


def item_features(
    workspace: Workspace,
    model: Callable[[], Artifact],
    vocab: Vocab,
    attributes: Path | None,
    index: Artifact | None = None,
) -> Callable[[], Features]:
    """Makes the features of items: of a table, of an index that keeps some, or of a model's training sessions.

    Raises SettingsError, when it is called, where nothing is known of them.
    """

    def features() -> Features:
        if attributes is not None:
            return side_table(attributes, "item", "item").read(vocab, BadRows("fail"))[0]
        from embedrec.index.serialization import load_item_features

        found = None if index is None else load_item_features(index)
        if found is None:
            found = known_features(workspace, model())
        if found is None:
            raise SettingsError(
                "nothing is known of the items; name a table with --attributes, or prepare the sessions with "
                "--item-features"
            )
        return found

    return features


def telling(features: Callable[[], Features], vocab: Vocab) -> Callable[[np.ndarray], Sequence[str]]:
    """What tells items of one name apart, see `find_items`: features in which they differ, where some are known."""

    def told(rows: np.ndarray) -> Sequence[str]:
        try:
            return apart(features(), vocab, rows)
        except EmbedrecError:  # nothing is known of them, or no longer: their ids remain
            return [""] * len(rows)

    return told
