"""Which artifacts of a workspace are served, and whether a new one may take the place of another."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.errors import ArtifactError, EmbedrecError, SettingsError, decoding
from embedrec.serving.batches import MOST
from embedrec.serving.pinned_workspace import PinnedWorkspace
from embedrec.serving.schemas import Refusal
from embedrec.serving.settings import ServeSettings
from embedrec.serving.sources import QUESTIONS, Served, Source
from embedrec.storage.artifacts import Artifact
from embedrec.storage.versions import readable
from embedrec.storage.workspace import Workspace

_COMPOSITES = ("ranker", "fusion")
_SAMPLE = 200  # items whose neighbours are compared with the exact ones
_K = 10
_SLACK = 0.02  # by which recall may be below that of the manifest
_FEWEST = 0.5  # share of the items of the old artifact that a new one must have


@dataclass(frozen=True)
class Selection:
    """What is to be served, and what is not.

    refused  artifacts that are not served, and why
    """

    served: Served
    refused: list[Refusal]


@dataclass(frozen=True)
class _Without(Workspace):
    """A workspace without some artifacts, given by their digests."""

    excluded: frozenset[str] = frozenset()

    def artifacts(self, kind: str) -> list[Artifact]:
        """See `Workspace.artifacts`."""
        return [artifact for artifact in super().artifacts(kind) if artifact.digest not in self.excluded]


def select(
    workspace: Workspace,
    settings: ServeSettings,
    old: Served | None = None,
    *,
    skipped: Collection[str] = (),
    force: bool = False,
) -> Selection:
    """The sources that settings name, or the newest index, model and ranker; open and checked.

    old      what is served: its sources are kept where nothing newer passes the checks
    skipped  digests of artifacts that are not to be served
    force    serve artifacts that are worse than the old ones; those that a rollback has put back always are

    Raises ArtifactError if there is nothing to serve.
    """
    refused = [
        Refusal(kind, folder.name, str(error))
        for kind in ("index", "model")
        for folder, error in workspace.unreadable(kind).items()
    ]
    excluded, opened = set(skipped), _Opened(workspace.root, settings.device, old)
    while True:
        chosen = _choose(_Without(workspace.root, frozenset(excluded)), settings, old, refused)
        sources: dict[str, Source] = {}
        failed = False
        for role, artifact in chosen.items():
            before = _source_of(old, role)
            try:
                rolled_back = before is not None and _is_older(artifact, before)
                sources[role] = opened.checked(artifact, None if force or rolled_back else before)
            except EmbedrecError as e:
                refused.append(Refusal(artifact.kind, artifact.name, str(e)))
                if before is not None:
                    sources[role] = before
                elif role in QUESTIONS or role == "ranker":
                    excluded.add(artifact.digest)
                    failed = True
                else:
                    raise
        if not failed:
            return Selection(_served(sources), _distinct(refused))


def _choose(
    workspace: _Without, settings: ServeSettings, old: Served | None, refused: list[Refusal]
) -> dict[str, Artifact]:
    """Role → artifact. A role is a question, "ranker", or the kind and name of an artifact that settings name."""
    chosen: dict[str, Artifact] = {}
    named = [("index", name) for name in settings.index] + [("model", name) for name in settings.model]
    for kind, name in named:
        before = _source_of(old, f"{kind} {name}")
        try:
            chosen[f"{kind} {name}"] = workspace.find(kind, name)
        except ArtifactError as e:
            if before is None:
                raise
            refused.append(Refusal(kind, name, str(e)))
            chosen[f"{kind} {name}"] = before.artifact
    if not named:
        try:
            chosen = newest_artifacts(workspace)
        except ArtifactError as e:
            if old is None:
                raise ArtifactError(refused[0].reason if refused else str(e)) from e
    for role, artifact in list(chosen.items()):
        before = _source_of(old, role)
        if before is not None and (
            before.name in settings.pin
            or artifact.digest in workspace.excluded
            or (not named and _is_older(artifact, before) and not _is_replaced(workspace, before.artifact))
        ):
            chosen[role] = before.artifact
    if old is not None:
        chosen |= {role: old.defaults[role].artifact for role in old.defaults if not named and role not in chosen}
    return chosen if named else chosen | _pinned(workspace, settings, old)


def _is_older(artifact: Artifact, before: Source) -> bool:
    """Whether an artifact was written before the one that is served: that is gone, or was rolled back."""
    return artifact.created < before.artifact.created


def _is_replaced(workspace: _Without, artifact: Artifact) -> bool:
    """Whether another artifact has the place of an artifact now, such as an earlier version after a rollback.

    One that is not to be served counts for nothing.
    """
    current = readable(workspace.folder(artifact.kind, artifact.name), artifact.kind)
    return current is not None and current.digest not in {artifact.digest, *workspace.excluded}


def _pinned(workspace: Workspace, settings: ServeSettings, old: Served | None) -> dict[str, Artifact]:
    """Question → pinned artifact that answers it, at the start."""
    pinned: dict[str, Artifact] = {}
    for name in settings.pin if old is None else ():
        artifact = workspace.named("index", name)
        if artifact is not None:
            role = {"sessions": "neighbours", "answers": "recommend"}.get(artifact.about.get("of", ""), "similar")
            pinned[role] = artifact
        else:
            pinned["recommend"] = workspace.find("model", name)
    return pinned


def newest_artifacts(workspace: Workspace) -> dict[str, Artifact]:
    """Question → the artifact that the command line uses for it; "ranker" → the newest ranker or fusion, if any.

    Raises ArtifactError if there is neither an index of items nor a model.
    """
    from embedrec.workflows.neighbours import session_sources
    from embedrec.workflows.similar import find_item_source, item_sources

    models = workspace.artifacts("model")
    newest = {"similar": find_item_source(workspace)} if item_sources(workspace) else {}
    newest["recommend"] = models[-1] if models else newest.get("similar") or workspace.find("model")
    for question, sources in (
        ("neighbours", session_sources(workspace)),
        ("ranker", [model for model in models if model.about.get("recipe") in _COMPOSITES]),
    ):
        if sources:
            newest[question] = sources[-1]
    return newest


def _source_of(old: Served | None, role: str) -> Source | None:
    """What is served for a role."""
    if old is None:
        return None
    if role in QUESTIONS:
        return old.defaults.get(role)
    if role == "ranker":
        composites = [s for s in old.sources.values() if s.artifact.about.get("recipe") in _COMPOSITES]
        return composites[-1] if composites else None
    kind, _, name = role.partition(" ")
    return old.sources.get((kind, name))


class _Opened:
    """Sources that are opened once, whatever number of questions they answer.

    old  what is served: its sources are used again where artifacts have not changed
    """

    def __init__(self, root: Path, device: str, old: Served | None) -> None:
        self.root, self.device, self.old = root, device, old
        self._sources: dict[tuple[str, str, str], Source] = {}

    def checked(self, artifact: Artifact, before: Source | None) -> Source:
        """The source of an artifact, which is not worse than `before`. Raises EmbedrecError as `check` does, or if it
        cannot be opened."""
        known = None if self.old is None else self.old.sources.get((artifact.kind, artifact.name))
        if known is not None and known.artifact.digest == artifact.digest:
            return known
        key = (artifact.kind, artifact.name, artifact.digest)
        with decoding(lambda why: ArtifactError(f"{artifact.name} cannot be opened ({why})")):
            source = self._sources.get(key)
            if source is None:
                source = self._sources[key] = self._open(artifact)
            if self.old is not None:
                check(source, before)
                source.read_ids()
        return source

    def _open(self, artifact: Artifact) -> Source:
        pinned = PinnedWorkspace(self.root)
        pinned.pin_sources(artifact)
        source = Source(artifact, pinned, self.device)
        source.open()
        answer_once(source)
        return source


def answer_once(source: Source) -> None:
    """Answer a question of each kind, alone and in the largest batch, so that what answers need is compiled and loaded
    before the first request: it takes seconds, in which the event loop would stand still.

    Raises EmbedrecError if the source cannot answer.
    """
    import numba  # noqa: F401 (searches use the compiled kernels, even for single queries, if it is loaded)

    for count in (1, MOST):
        if "recommend" in source.questions:
            model = source.recommender.model
            at = np.arange(count)
            histories = Sessions(np.arange(count + 1), at % len(model.vocab), model.vocab, at)
            model.recommend(histories, min(_K, len(model.vocab)))
        if "similar" in source.questions:
            opened = source.similar()
            if len(opened.vocab) > 1:
                opened.neighbours(np.arange(count) % len(opened.vocab), 1)


def check(source: Source, old: Source | None) -> None:
    """Raises SettingsError if a source is worse than the old one, or than its own measurements.

    It is worse if its recall on a sample of items is, beyond chance, or if it has less than half of the items.
    """
    items, before = source.artifact.about.get("items", 0), 0 if old is None else old.artifact.about.get("items", 0)
    if items < _FEWEST * before:
        raise SettingsError(f"{source.name} has {items:,} items, less than half of the {before:,} that are served")
    if "similar" in source.questions:
        mean, high, _ = sample_recall(source)
        recorded = source.artifact.about.get("facts", {}).get("recall@20", 0.0)
        if high < recorded - _SLACK:
            raise SettingsError(
                f"{source.name} has a recall of {mean:.3f} on a sample, but {recorded:.3f} was measured"
            )
        if old is not None and "similar" in old.questions:
            served, _, low = sample_recall(old)
            if high < low:
                raise SettingsError(f"{source.name} has a recall of {mean:.3f}, below the {served:.3f} that is served")


def sample_recall(source: Source) -> tuple[float, float, float]:
    """The recall of a source of similar items on a sample: mean, upper and lower end of its interval."""
    from embedrec.index.measure import Recall, sample_items

    def measure() -> tuple[float, float, float]:
        opened = source.similar()
        n = len(opened.vocab)
        if opened.vectors is None or source.artifact.kind == "model" or n < 2:  # searched exactly
            return 1.0, 1.0, 1.0
        sample = sample_items(opened.vectors, 0, _SAMPLE, _K)
        recall = Recall.of(opened.neighbours(sample.rows, sample.k), sample.exact)
        return recall.mean, recall.high, recall.low

    measured: tuple[float, float, float] = source.opened("recall", measure)
    return measured


def _served(sources: dict[str, Source]) -> Served:
    by_name = {(source.artifact.kind, source.name): source for source in sources.values()}
    defaults: dict[str, Source] = {}
    for question in QUESTIONS:
        first = [sources[question]] if question in sources else []
        for source in [*first, *by_name.values()]:
            if question in source.questions:
                defaults.setdefault(question, source)
    return Served(by_name, defaults)


def _distinct(refused: list[Refusal]) -> list[Refusal]:
    """The refusals without repetitions."""
    return list({(one.kind, one.name): one for one in refused}.values())
