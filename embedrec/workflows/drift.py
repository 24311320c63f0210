"""`embedrec drift`: what changed from one version of a model or index to the next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from embedrec.config import Settings, check_bounds, check_seed
from embedrec.data.sessions import Sessions
from embedrec.errors import ArtifactError, SettingsError, did_you_mean
from embedrec.evaluation.drift import Drift, Pair, item_drift, result_drift
from embedrec.evaluation.evaluate import EvaluationSettings, evaluate
from embedrec.evaluation.paired_differences import differences
from embedrec.models.base import Model
from embedrec.models.serialization import load_model
from embedrec.progress import Report, quiet
from embedrec.splitting.holdout import HeldOut
from embedrec.splitting.test_cases import TestCases, next_items
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace
from embedrec.text.figures import rounded_figures
from embedrec.vectors.space import space_of
from embedrec.workflows.lineage import training_sessions
from embedrec.workflows.similar import ItemNeighbourSource, neighbours_of_model, open_item_neighbours


@dataclass(frozen=True)
class DriftSettings(Settings):
    """How drift is measured.

    k         results compared of each list
    worst     how many of the most changed lists to name
    sessions  of models without item neighbours, the recommendations after so many of the newest sessions are compared
    cases     most test cases of the metric; of more, a sample
    seed      of the sample
    """

    k: int = 20
    worst: int = 10
    sessions: int = 2000
    cases: int = 20_000
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self, {"k": (1, 2**31), "worst": (0, 2**31), "sessions": (1, 2**31), "cases": (1, 2**31)})
        check_seed(self.seed)


DEFAULTS = DriftSettings()


def find_versions(workspace: Workspace, old: str, new: str) -> tuple[Artifact, Artifact]:
    """Two models, or two indexes of items, by name, which may be that of a version, such as word2vec@3.

    Raises ArtifactError for an unknown name, with near misses, and SettingsError for a model and an index.
    """
    kinds = {name: _kinds_of(workspace, name) for name in (old, new)}
    for name, matching in kinds.items():
        if not matching:
            known = [folder.name for kind in ("model", "index") for folder in workspace.folders(kind)]
            hint = did_you_mean(name, known) or (f"; there are {', '.join(known)}" if known else "")
            raise ArtifactError(f"no model or index is called {name!r} in {workspace.root}{hint}")
    kind = next((kind for kind in kinds[old] if kind in kinds[new]), None)
    if kind is None:
        raise SettingsError(
            f"{old} is {_ARTICLES[kinds[old][0]]}, but {new} is {_ARTICLES[kinds[new][0]]}; compare two of one kind"
        )
    of = "items" if kind == "index" else None
    return workspace.find(kind, old, of=of), workspace.find(kind, new, of=of)


_ARTICLES = {"model": "a model", "index": "an index"}


def _kinds_of(workspace: Workspace, name: str) -> list[str]:
    plain = name.partition("@")[0]
    return [kind for kind in _ARTICLES if any(folder.name == plain for folder in workspace.folders(kind))]


def measure_drift(
    workspace: Workspace,
    old: Artifact,
    new: Artifact,
    settings: DriftSettings = DEFAULTS,
    *,
    on: Artifact | None = None,
    report: Report = quiet,
) -> Drift:
    """The drift from one model to another, or from one index of items to another.

    on  sessions on whose held-out part the recall of both models is measured, or on all of them if they have none

    Raises SettingsError if the versions have no item in common, for indexes with sessions, for models without item
    neighbours and without sessions, and for sessions without a held-out part that one of the models was trained on.
    """
    if old.kind == "index":
        if on is not None:
            raise SettingsError("sessions measure models, not indexes; name two models, or leave --on out")
        return index_drift(old, new, settings, report=report)
    models = load_model(old), load_model(new)
    if on is None:
        return model_drift((old, new), models, settings, report=report)
    train, test = _parts(workspace, (old, new), on)
    drift = model_drift((old, new), models, settings, sessions=test.sessions, report=report)
    return with_metric(drift, models, test, train, settings, report=report)


def index_drift(old: Artifact, new: Artifact, settings: DriftSettings = DEFAULTS, *, report: Report = quiet) -> Drift:
    """The drift from one index of items to another: of the lists that its searches find, and of its recall."""
    sources = open_item_neighbours(old), open_item_neighbours(new)
    drift = _item_drift(*sources, settings, report)
    measured = [artifact.about.get("facts") or {} for artifact in (old, new)]
    name = next((key for key in measured[0] if key.startswith("recall@") and key in measured[1]), None)
    if name is None:
        return drift
    return replace(drift, recall=(measured[0][name], measured[1][name]), recall_name=name)


def model_drift(
    artifacts: tuple[Artifact, Artifact],
    models: tuple[Model, Model],
    settings: DriftSettings = DEFAULTS,
    *,
    sessions: Sessions | None = None,
    report: Report = quiet,
) -> Drift:
    """The drift from one model to another: of its item neighbours, or without these of its recommendations after the
    newest of some sessions, without the last item of each."""
    old, new = (neighbours_of_model(*pair) for pair in zip(artifacts, models, strict=True))
    if old is not None and new is not None:
        return _item_drift(old, new, settings, report)
    if sessions is None:
        raise SettingsError(
            f"model {artifacts[1].name} ({artifacts[1].about['recipe']}) has no item neighbours to compare; name "
            "sessions whose recommendations are compared with --on"
        )
    newest = newest_sessions(sessions, settings.sessions)
    histories = newest.take(np.arange(len(newest)), np.maximum(newest.lengths - 1, 1))
    k = min(settings.k, *(len(model.vocab) for model in models))
    lists = [model.recommend(histories, k) for model in models]
    return result_drift(lists[0], lists[1], counts=_counts(*models))


def _item_drift(old: ItemNeighbourSource, new: ItemNeighbourSource, settings: DriftSettings, report: Report) -> Drift:
    same_space = space_of(old.source) == space_of(new.source)
    drift = item_drift(old, new, counts=_counts(old, new), k=settings.k, worst=settings.worst, same_space=same_space)
    for message in drift.messages:
        report("note", message=message)
    if not same_space and old.vectors is not None and new.vectors is not None:
        message = f"{old.source.name} and {new.source.name} are in different spaces, so that cosines say nothing"
        report("note", message=message)
    return drift


def _counts(old: Any, new: Any) -> tuple[np.ndarray | None, np.ndarray | None]:
    return old.vocab.counts, new.vocab.counts


def newest_sessions(sessions: Sessions, count: int) -> Sessions:
    """The non-empty sessions that ended last, at most `count`; without times, the last ones."""
    rows = np.flatnonzero(sessions.lengths)
    if sessions.times is not None:
        last = np.maximum.reduceat(sessions.times, sessions.offsets[:-1][rows]) if len(rows) else rows
        rows = rows[np.argsort(last, kind="stable")]
    return sessions.take(np.sort(rows[-count:]))


def with_metric(
    drift: Drift,
    models: tuple[Model, Model],
    test: HeldOut,
    train: Sessions,
    settings: DriftSettings = DEFAULTS,
    *,
    report: Report = quiet,
) -> Drift:
    """The drift with the recall of the next item in held-out sessions, of both models.

    test   sessions that neither model was trained on
    train  the catalogue that is ranked, and whether lists may repeat items of the history

    Raises DataError if no session has two items.
    """
    cases = _sample(next_items(test), settings)
    k = min(settings.k, len(train.vocab))
    evaluation = EvaluationSettings((k,), exclude_seen=not train.has_repeats(), seed=settings.seed)
    results = [evaluate(model, cases, train, evaluation, report=report) for model in models]
    name = f"recall@{k}"
    gap = next(one for one in differences(results[1], results[0]) if one.metric == name)
    interval: Pair | None = None if gap.low is None or gap.high is None else (gap.low, gap.high)
    metric = results[0].metrics[name], results[1].metrics[name]
    return replace(drift, metric=metric, metric_name=name, metric_gap=interval)


def drift_record(drift: Drift, old: str, new: str) -> dict[str, Any]:
    """A drift as one JSON object: names of both versions, figures, and the most changed lists."""
    record: dict[str, Any] = {"old": old, "new": new, **rounded_figures(drift.figures())}
    return {**record, "worst": drift.difference.worst}


def _parts(workspace: Workspace, models: tuple[Artifact, Artifact], on: Artifact) -> tuple[Sessions, HeldOut]:
    """The training part whose items are ranked, and the held-out part."""
    test, train = HeldOut.load(on), Sessions.load(on)
    if test is not None:
        return train, test
    for model in models:
        if (model.about.get("trained_on") or {}).get("fingerprint") == on.fingerprint:
            raise SettingsError(
                f"model {model.name} was trained on the sessions {on.name}, which therefore measure nothing; name "
                "sessions with a held-out part, or later ones"
            )
    held_out = HeldOut(train, np.zeros(len(train), dtype=np.int64))
    return Sessions.load(training_sessions(workspace, models[1])), held_out


def _sample(cases: TestCases, settings: DriftSettings) -> TestCases:
    """The test cases, or a sample of them."""
    if len(cases) <= settings.cases:
        return cases
    keep = np.zeros(len(cases), dtype=bool)
    keep[np.random.default_rng(settings.seed).choice(len(cases), settings.cases, replace=False)] = True
    return cases.filter(keep)
