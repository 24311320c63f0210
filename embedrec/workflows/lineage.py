"""The sources of artifacts, index → model → sessions, and the features of their items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from embedrec.data.vocab import Vocab
from embedrec.errors import EmbedrecError, SettingsError
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace

if TYPE_CHECKING:
    from embedrec.data.features import Features
    from embedrec.data.item_filter import ItemFilter
    from embedrec.data.sessions import Sessions
    from embedrec.storage.remote import ReadPath


def counts(sessions: Sessions) -> dict[str, int]:
    """Numbers of sessions, items and events, for a manifest."""
    return {"sessions": len(sessions), "items": len(sessions.vocab), "events": len(sessions.items)}


def provenance(source: Artifact) -> dict[str, str]:
    """How the manifest of an artifact identifies its source."""
    return {"name": source.name, "fingerprint": source.fingerprint, "created": source.created}


def origin(model: Artifact) -> dict[str, Any]:
    """What an index stores of its model beside `provenance`: the model may be trained again, or be absent."""
    from embedrec.vectors.space import space_of

    about = {"trained_on": model.about.get("trained_on"), "model_settings": model.about.get("settings")}
    return {**about, "space": space_of(model)}


def training_sessions(workspace: Workspace, model: Artifact) -> Artifact:
    """The sessions artifact that a model was trained on, the current one or a version.

    Raises SettingsError if it has changed since, and no version of it is kept.
    """
    manifest = model.about.get("trained_on")
    if manifest is None:
        raise SettingsError(f"model {model.name} was imported from a file; its training sessions are unknown")
    sessions = workspace.version("sessions", manifest["name"], manifest["fingerprint"])
    if sessions is None:
        current = workspace.find("sessions", manifest["name"])
        raise SettingsError(
            f"sessions {current.name} have changed since model {model.name} was trained on them; train it again"
        )
    return sessions


def indexed_model(workspace: Workspace, index: Artifact) -> Artifact:
    """The model artifact that an index was built from, the current one or a version.

    Raises SettingsError if it has changed since, and no version of it is kept.
    """
    manifest = index.about["indexed"]
    model = workspace.version("model", manifest["name"], manifest["fingerprint"])
    if model is None:
        current = workspace.find("model", manifest["name"])
        raise SettingsError(
            f"model {current.name} was trained again after index {index.name} was built; build the index again"
        )
    return model


def model_of(workspace: Workspace, index: Artifact) -> Artifact:
    """The model that an index was built from, the current one or a version, or else the one that has its name now.

    Raises ArtifactError if there is none.
    """
    indexed = index.about.get("indexed") or {}
    name = indexed.get("name", index.name)
    model = workspace.version("model", name, indexed.get("fingerprint", ""))
    return workspace.find("model", name) if model is None else model


def training_features(workspace: Workspace, model: Artifact) -> Features | None:
    """The item features of the sessions a model was trained on; None if they have none.

    Raises SettingsError and ArtifactError if the sessions have changed since, or no longer exist.
    """
    from embedrec.data.sessions import Sessions

    if model.about.get("trained_on") is None:  # imported vectors have no training sessions
        return None
    return Sessions.load(training_sessions(workspace, model)).item_features


def item_features(
    workspace: Workspace,
    model: Callable[[], Artifact],
    vocab: Vocab,
    attributes: ReadPath | None,
    index: Artifact | None = None,
) -> Callable[[], Features]:
    """A function that loads item features: from a table, from an index that stores some, or from a model's sessions.

    The function raises SettingsError if no features exist.
    """

    def load() -> Features:
        if attributes is not None:
            from embedrec.tabular.bad_rows import BadRows
            from embedrec.tabular.feature_tables import side_table

            return side_table(attributes, "item", "item").read(vocab, BadRows("fail"))[0]

        from embedrec.index.serialization import load_item_features

        features = None if index is None else load_item_features(index)
        if features is None:
            features = training_features(workspace, model())
        if features is None:
            raise SettingsError(
                "the items have no features; name a table with --attributes, or prepare the sessions with "
                "--item-features"
            )
        return features

    return load


def filter_items(
    allowed: ItemFilter | None, vocab: Vocab, features: Callable[[], Features]
) -> tuple[np.ndarray | None, list[str]]:
    """The items that a filter allows, (n,) bool, and remarks on them; None and none without a filter."""
    mask = None if allowed is None else allowed.mask(vocab, features)
    return mask, [] if allowed is None or mask is None else allowed.messages(vocab, mask)


def distinguishing_features(load: Callable[[], Features], vocab: Vocab) -> Callable[[np.ndarray], Sequence[str]]:
    """A function for `find_items` that describes items (rows) of one name by the features in which they differ.

    load  as `item_features` returns it; without features, the descriptions are empty
    """

    def describe(rows: np.ndarray) -> Sequence[str]:
        from embedrec.data.item_text import feature_differences

        try:
            return feature_differences(load(), vocab, rows)
        except EmbedrecError:  # no features: the ids remain
            return [""] * len(rows)

    return describe
