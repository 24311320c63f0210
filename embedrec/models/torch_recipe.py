"""The base of recipes that train with torch: `fit`, held-back sessions for validation, and checks."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeGuard

import numpy as np

from embedrec.config import settings_of
from embedrec.data.ranking_metrics import ranked_metrics
from embedrec.data.sessions import Sessions, check_sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import SettingsError, need_package
from embedrec.models.base import Arrays, Model, Recipe
from embedrec.progress import Report, quiet
from embedrec.training.context import HERE, TrainingContext
from embedrec.training.settings import TrainingSettings

if TYPE_CHECKING:
    from embedrec.training.loop import Learner

    class ModelLearner(Learner, Protocol):
        """A learner that can build its current model at any time."""

        def model(self) -> Model:
            """The model of the current weights, through the recipe's `from_arrays`."""
            ...


@dataclass(frozen=True)
class Neural(TrainingSettings, ABC):
    """A recipe that trains with torch: its fields are settings, `learner` builds the module."""

    name: ClassVar[str]

    @property
    def by_steps(self) -> bool:
        """Whether these settings train in torch steps; otherwise `fit` runs on the CPU without checkpoints."""
        return True

    @property
    def plan(self) -> TrainingSettings:
        """The training settings, with defaults that depend on other settings filled in."""
        return self

    @abstractmethod
    def learner(self, sessions: Sessions, *, seed: int, device: str) -> ModelLearner:
        """The module and batches of these sessions on a device; their vocabulary is that of the model.

        seed  of initial weights and batches; torch's own randomness is seeded around this call

        Raises DataError when there is nothing to learn from.
        """

    @abstractmethod
    def from_arrays(self, vocab: Vocab, arrays: Arrays) -> Any:
        """See `ModelSettings.from_arrays`."""

    def fit(
        self,
        sessions: Sessions,
        *,
        seed: int = 0,
        threads: int = 1,
        report: Report = quiet,
        run: TrainingContext = HERE,
    ) -> Any:
        """Train on sessions.

        seed     all randomness comes from it; the same seed and one thread give the same bytes
        threads  number of threads
        report   called as report("vocabulary", items=, cold=), then see `training.loop.train`
        run      the device, the checkpoint, and the other processes of the training

        With `patience`, a twentieth of the sessions of three items or more, at most 2,000, keep their last items for
        validation. Raises DataError when there is nothing to learn from, SettingsError when `threads` or `run` does not
        fit, TrainingError when training diverges.
        """
        check_sessions(sessions)
        check_torch(self)
        from embedrec.training import devices
        from embedrec.training.loop import train

        held_out, plan = None if self.patience is None else held_back(sessions, seed), self.plan
        with devices.threads(threads):
            with devices.seeded(run.device, seed, 0):
                learner = self.learner(sessions if held_out is None else held_out.train, seed=seed, device=run.device)
            model = learner.model()
            report("vocabulary", items=len(model.vocab), cold=int(np.sum(model.arrays.get("cold", 0))))

            train(
                learner,
                plan,
                seed=seed,
                run=run,
                report=report,
                identity={"recipe": self.name, "settings": settings_of(plan), "seed": seed, "data": digest(sessions)},
                judge=None if held_out is None else lambda: held_out.judged(learner.model()),
            )
            return learner.model()


def fit_recipe(
    recipe: Recipe,
    sessions: Sessions,
    *,
    seed: int,
    threads: int,
    report: Report,
    run: TrainingContext = HERE,
    **more: Any,
) -> Model:
    """`recipe.fit`, for any recipe. Raises SettingsError when `run` needs torch and the recipe does not use it."""
    if in_steps(recipe):
        if more:
            raise SettingsError(f"{recipe.name} cannot continue from a finished model; leave --from out")
        return recipe.fit(sessions, seed=seed, threads=threads, report=report, run=run)
    check_here(recipe, run)
    return recipe.fit(sessions, seed=seed, threads=threads, report=report, **more)


def in_steps(recipe: Recipe) -> TypeGuard[Neural]:
    """Whether a recipe trains with torch, in steps: on any device, resumable, in several processes."""
    return isinstance(recipe, Neural) and recipe.by_steps


def check_torch(recipe: Any) -> None:
    """Raise SettingsError when the recipe needs torch and it is not installed; call it before long work."""
    if in_steps(recipe):
        need_package("torch", f"training {recipe.name}")


def check_here(recipe: Recipe, run: TrainingContext) -> None:
    """Raise SettingsError when a recipe that does not train in steps gets a device, checkpoint or processes."""
    if run != HERE:
        raise SettingsError(
            f"{called(recipe)} trains in one go, on the CPU, in one process; leave --resume and torchrun out"
        )


def called(recipe: Recipe) -> str:
    """The name of a recipe that does not train in steps, for messages."""
    return f"{recipe.name} with these settings" if isinstance(recipe, Neural) else recipe.name


def device_of(recipe: Recipe, requested: str, report: Report = quiet, *, place: int = 0) -> str:
    """The device that a recipe trains on for "cpu", "cuda" or "auto", see `training.devices.resolve`.

    report  for "auto", report("device", chosen=), if the recipe can use a GPU

    Raises SettingsError for a GPU that is missing or that the recipe cannot use.
    """
    if not in_steps(recipe):
        if requested == "cuda":
            raise SettingsError(f"{called(recipe)} trains on the CPU only; leave --device out")
        return "cpu"
    check_torch(recipe)
    from embedrec.training.devices import resolve

    device = resolve(requested, place=place)
    if requested == "auto":
        report("device", chosen=device)
    return device


@dataclass(frozen=True, eq=False)
class HeldBack:
    """Training sessions whose last items are held back for validation.

    train         all S sessions, without these items
    histories     q sessions without their last items
    targets       (q,) the last items, rows in the sessions' vocabulary
    exclude_seen  whether items of the history are left out; False if these sessions repeat items
    """

    train: Sessions
    histories: Sessions
    targets: np.ndarray
    exclude_seen: bool

    def judged(self, model: Model) -> dict[str, float]:
        """recall@20 and mrr@20 of the held-back items, all items ranked."""
        answer = model.recommend(self.histories, min(_K, len(model.vocab)), exclude_seen=self.exclude_seen)
        targets = model.vocab.rows_of(self.histories.vocab.ids)[self.targets]
        query, place = np.nonzero(answer.rows == targets[:, None])
        ranks = np.full(len(targets), np.inf)
        ranks[query] = place + 1
        values = ranked_metrics(ranks, np.arange(len(ranks) + 1), [_K])
        return {key: float(values[key].mean()) for key in (f"recall@{_K}", f"mrr@{_K}")}


def held_back(sessions: Sessions, seed: int) -> HeldBack | None:
    """Hold back the last items of some training sessions of three items or more; None if there are no such sessions."""
    long = np.flatnonzero(sessions.lengths >= _LONG)
    count = min(_MOST, -(-len(long) // _ONE_OF))
    chosen = np.sort(np.random.default_rng(seed).permutation(long)[:count])
    keep = np.ones(len(sessions.items), dtype=bool)
    last = sessions.offsets[chosen + 1] - 1
    keep[last] = False
    left = np.bincount(sessions.items[keep], minlength=len(sessions.vocab))
    chosen = chosen[left[sessions.items[last]] > 0]  # training keeps every item
    keep[last] = True
    last = sessions.offsets[chosen + 1] - 1
    keep[last] = False
    if not len(chosen):
        return None
    histories = sessions.take(chosen, sessions.lengths[chosen] - 1)
    pairs = sessions.session_of * len(sessions.vocab) + sessions.items
    distinct = len(np.unique(pairs)) == len(pairs)
    return HeldBack(sessions.filter_events(keep), histories, sessions.items[last], distinct)


def digest(sessions: Sessions) -> str:
    """The SHA-256 of the training data: the order of sessions and items, ids and users."""
    sha = hashlib.sha256()
    for array in (sessions.offsets, sessions.items, sessions.vocab.ids, sessions.users):
        if array is not None:
            plain = "\n".join(map(str, array.tolist())).encode() if array.dtype == object else array.tobytes()
            sha.update(hashlib.sha256(plain).digest())
    return sha.hexdigest()


_K = 20
_LONG = 3  # items of a session that can have its last item held back
_MOST = 2000
_ONE_OF = 20


def widths(text: str, field: str) -> list[int]:
    """Hidden units of layers: "128,64" → [128, 64]. Raises SettingsError for anything else."""
    try:
        units = [int(part) for part in text.split(",")] if text else []
    except ValueError:
        units = [0]
    if units and min(units) < 1:
        raise SettingsError(f'{field} must be whole numbers as in "128,64", or empty for none, but is {text!r}')
    return units
