"""A workspace whose artifacts stay those that were found first."""

from __future__ import annotations

from dataclasses import dataclass, field

from embedrec.errors import EmbedrecError
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace


@dataclass(frozen=True)
class PinnedWorkspace(Workspace):
    """A workspace that finds, for a name, always the artifact it found first.

    Answers of one version then never use artifacts of another: reading a file of one that was replaced is an error.
    """

    _first: dict[tuple[str, str], Artifact] = field(default_factory=dict, init=False, repr=False, compare=False)

    def find(self, kind: str, name: str | None = None, *, of: str | None = None) -> Artifact:
        """See `Workspace.find`."""
        known = None if name is None or of is not None else self._first.get((kind, name))
        if known is not None:
            return known
        artifact = super().find(kind, name, of=of)
        return self._first.setdefault((kind, artifact.name), artifact)

    def version(self, kind: str, name: str, fingerprint: str) -> Artifact | None:
        """See `Workspace.version`."""
        known = self._first.get((kind, name))
        if known is not None and known.fingerprint == fingerprint:
            return known
        return super().version(kind, name, fingerprint)

    def pin_sources(self, artifact: Artifact) -> None:
        """Find what an artifact derives from: the model of an index, the sessions of a model."""
        self._first.setdefault((artifact.kind, artifact.name), artifact)
        for kind, key in (("model", "indexed"), ("sessions", "trained_on")):
            origin = artifact.about.get(key)
            if isinstance(origin, dict) and "name" in origin:
                try:
                    version = self.version(kind, origin["name"], origin.get("fingerprint", ""))
                    source = version or self.find(kind, origin["name"])
                except EmbedrecError:  # an index answers without its model
                    continue
                self._first.setdefault((kind, origin["name"]), source)
                self.pin_sources(source)
