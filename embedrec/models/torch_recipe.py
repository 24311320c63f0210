"""The base of recipes that train with torch: `fit`, validation on held-out items, and checks."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeGuard

import numpy as np

from embedrec.config import settings_of
from embedrec.data.ranking_metrics import ranked_metrics
from embedrec.data.replay import replayed_sessions
from embedrec.data.session_changes import SessionChanges
from embedrec.data.sessions import Sessions, check_sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import SettingsError, need_package
from embedrec.models.base import Arrays, Model, Recipe
from embedrec.models.warm_start import TrainingStart, check_warm_start
from embedrec.progress import Report, quiet
from embedrec.storage.memory_budget import count_rows
from embedrec.training.context import DEFAULT_CONTEXT, TrainingContext
from embedrec.training.settings import TrainingSettings
from embedrec.training.shares import TrainsOnShares, check_share, joint_digest, share_seed, total

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
    def direct_fit(self) -> Callable[..., Any] | None:
        """What trains without torch, on the CPU and without checkpoints: (sessions, seed=, threads=, report=) → model.

        None for settings that train with torch.
        """
        return None

    @property
    def uses_torch(self) -> bool:
        """Whether these settings train with torch."""
        return self.direct_fit is None

    @property
    def training_settings(self) -> TrainingSettings:
        """The training settings, with defaults that depend on other settings filled in."""
        return self

    def continuing(self, *, changes: bool = False) -> Self:
        """These settings for a warm start: few epochs, without validation.

        changes  whether the warm start is told which sessions changed: it trains on these and some of the others
        """
        return replace(self, epochs=min(self.training_settings.epochs, CONTINUING_EPOCHS), patience=None)

    @abstractmethod
    def learner(
        self, sessions: Sessions, *, seed: int, device: str, start: TrainingStart | None = None
    ) -> ModelLearner:
        """The module and batches of these sessions on a device; their vocabulary is that of the model.

        seed   of initial weights and batches; torch's own randomness is seeded around this call
        start  a model to continue, and all of its sessions, of which `sessions` are those to train on

        Raises DataError when there is nothing to learn from, SettingsError for a `start` that cannot be continued.
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
        context: TrainingContext = DEFAULT_CONTEXT,
        init: Any = None,
        changes: SessionChanges | None = None,
    ) -> Any:
        """Train on sessions.

        seed     source of all randomness; the same seed and one thread give the same bytes
        threads  number of threads
        report   called as report("vocabulary", items=, cold=), then see `training.loop.train`
        context  the device, the checkpoint, and the other processes of the training
        init     a model to continue, with the settings of `model.recipe.continuing()`: its items keep their vectors at
                 first, new ones start with the mean vector of their contexts. Items are those of a full training
        changes  what differs between the sessions of `init` and these: trained on are the changed ones and `replay`
                 times as many others. Without it, all sessions are trained on

        With `patience`, the last items of a twentieth of the sessions of three items or more, at most 2,000, are held
        out for validation. Raises DataError when there is nothing to learn from, SettingsError for invalid `threads` or
        `context`, TrainingError when training diverges.
        """
        check_sessions(sessions)
        check_warm_start(self, init, changes, sessions)
        if self.direct_fit is not None:
            check_default_context(self, context)
            return self.direct_fit(sessions, seed=seed, threads=threads, report=report, init=init, changes=changes)
        check_torch(self)
        shares = context.memory is not None
        if shares:
            check_shares(self, sessions, context, init)
        from embedrec.training import devices
        from embedrec.training.loop import train

        test, start = context.test, None
        identity = {"recipe": self.name, "settings": settings_of(self.training_settings), "seed": seed}
        identity["data"] = joint_digest(digest(sessions), context) if shares else digest(sessions)
        if init is not None:
            start = TrainingStart(init, sessions)
            identity["start"] = start.digest()
            if changes is not None:
                sessions = replayed_sessions(changes, self.replay, seed=seed)
        held_out, plan = None, self.training_settings
        if self.patience is not None and (context.first or not shares):
            held_out = hold_out_last_items(sessions, seed)
        validates = held_out is not None
        if shares:
            validates = bool(total(np.array([int(validates)]), context)[0])
        with devices.use_threads(threads):
            with devices.seed_torch(context.device, seed, 0):
                trained = sessions if held_out is None else held_out.train
                if isinstance(self, SharedNeural) and shares:
                    learner = self.of_share(context).share_learner(
                        trained,
                        counts=total(count_rows(trained.items, len(trained.vocab)), context),
                        seed=share_seed(seed, context),
                    )
                else:
                    learner = self.learner(trained, seed=seed, device=context.device, start=start)
            model = learner.model()
            report("vocabulary", items=len(model.vocab), cold=int(np.sum(model.arrays.get("cold", 0))))

            train(
                learner,
                plan,
                seed=seed,
                context=context,
                report=report,
                identity=identity,
                validate=(lambda: _measured(held_out, learner)) if validates else None,
                test=None if test is None else lambda: test(learner.model()),
            )
            model = learner.model()
            return self.from_arrays(model.vocab, model.arrays) if shares else model


class SharedNeural(Neural, TrainsOnShares):
    """A recipe that trains with torch, also in processes that each read a share of the sessions."""

    EVENT_BYTES = 64

    def of_share(self, context: TrainingContext) -> Self:
        """These settings in each of the processes, whose batches together have the size of `batch`."""
        count = 1 if context.processes is None else context.processes.count
        return replace(self, batch=-(-self.batch // count))

    @abstractmethod
    def share_learner(self, sessions: Sessions, *, counts: np.ndarray, seed: int) -> ModelLearner:
        """The module and batches of a share of the sessions.

        counts  (n,) events of the items in all shares
        seed    of the batches of this process
        """


def check_shares(recipe: Neural, sessions: Sessions, context: TrainingContext, init: Any) -> None:
    """Raises SettingsError for a training that needs all sessions in every process; DataError if they do not fit."""
    if not isinstance(recipe, SharedNeural):
        raise SettingsError(f"{recipe.name} has no memory limit; leave --memory out")
    if init is not None:
        raise SettingsError(f"a warm start of {recipe.name} needs all sessions; leave --memory or --from out")
    check_share(recipe, len(sessions.items), context)


def padded_counts(counts: np.ndarray, n: int) -> np.ndarray:
    """The counts (m,) of the first items, and 0 for further ones that only have features: (n,)."""
    return np.append(counts, np.zeros(n - len(counts), dtype=counts.dtype))


def _measured(held_out: ValidationSplit | None, learner: ModelLearner) -> dict[str, float]:
    """The metrics of the process that holds items out; others are sent its metrics."""
    return {} if held_out is None else held_out.evaluate(learner.model())


def fit_recipe(
    recipe: Recipe,
    sessions: Sessions,
    *,
    seed: int,
    threads: int,
    report: Report,
    context: TrainingContext = DEFAULT_CONTEXT,
    **more: Any,
) -> Model:
    """`recipe.fit`, for any recipe. Raises SettingsError when `context` is not that of one process on the CPU and the
    recipe takes no other.

    more  further arguments of that recipe, such as `init` and `changes` of a warm start
    """
    if is_torch_recipe(recipe) or isinstance(recipe, TrainsOnShares):
        with_context: Any = recipe
        return with_context.fit(sessions, seed=seed, threads=threads, report=report, context=context, **more)
    check_default_context(recipe, context)
    return recipe.fit(sessions, seed=seed, threads=threads, report=report, **more)


def is_torch_recipe(recipe: Recipe) -> TypeGuard[Neural]:
    """Whether a recipe trains with torch: on any device, resumable, in several processes."""
    return isinstance(recipe, Neural) and recipe.uses_torch


def check_torch(recipe: Any) -> None:
    """Raise SettingsError when the recipe needs torch and it is not installed; call it before long work."""
    if is_torch_recipe(recipe):
        need_package("torch", f"training {recipe.name}")


def check_default_context(recipe: Recipe, context: TrainingContext) -> None:
    """Raise SettingsError when a recipe that trains without torch gets a device, checkpoint or processes."""
    if context != DEFAULT_CONTEXT:
        raise SettingsError(
            f"{display_name(recipe)} trains in one process on the CPU, without checkpoints; leave --resume and "
            "torchrun out"
        )


def display_name(recipe: Recipe) -> str:
    """The name of a recipe that trains without torch, for messages."""
    return f"{recipe.name} with these settings" if isinstance(recipe, Neural) else recipe.name


def choose_device(recipe: Recipe, requested: str, report: Report = quiet, *, local_rank: int = 0) -> str:
    """The device that a recipe trains on for "cpu", "cuda" or "auto", see `training.devices.resolve_device`.

    report  for "auto", report("device", chosen=), if the recipe can use a GPU

    Raises SettingsError for a GPU that is missing or that the recipe cannot use.
    """
    if not is_torch_recipe(recipe):
        if requested == "cuda":
            raise SettingsError(f"{display_name(recipe)} trains on the CPU only; leave --device out")
        return "cpu"
    check_torch(recipe)
    from embedrec.training.devices import resolve_device

    device = resolve_device(requested, local_rank=local_rank)
    if requested == "auto":
        report("device", chosen=device)
    return device


@dataclass(frozen=True, eq=False)
class ValidationSplit:
    """Training sessions whose last items are held out for validation.

    train         all S sessions, without these items
    histories     q sessions without their last items
    targets       (q,) the last items, rows in the sessions' vocabulary
    exclude_seen  whether items of the history are left out; False if these sessions repeat items
    """

    train: Sessions
    histories: Sessions
    targets: np.ndarray
    exclude_seen: bool

    def evaluate(self, model: Model) -> dict[str, float]:
        """recall@20 and mrr@20 of the held-out items, ranked among all items."""
        results = model.recommend(self.histories, min(_K, len(model.vocab)), exclude_seen=self.exclude_seen)
        targets = model.vocab.rows_of(self.histories.vocab.ids)[self.targets]
        query, position = np.nonzero(results.rows == targets[:, None])
        ranks = np.full(len(targets), np.inf)
        ranks[query] = position + 1
        values = ranked_metrics(ranks, np.arange(len(ranks) + 1), [_K])
        return {key: float(values[key].mean()) for key in (f"recall@{_K}", f"mrr@{_K}")}


def hold_out_last_items(sessions: Sessions, seed: int) -> ValidationSplit | None:
    """Hold out the last items of some training sessions of three items or more; None if there are no such sessions."""
    long = np.flatnonzero(sessions.lengths >= _MIN_LENGTH)
    count = min(_MAX_SESSIONS, -(-len(long) // _FRACTION))
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
    return ValidationSplit(sessions.filter_events(keep), histories, sessions.items[last], distinct)


def digest(sessions: Sessions) -> str:
    """The SHA-256 of the training data: the order of sessions and items, ids and users."""
    sha = hashlib.sha256()
    for array in (sessions.offsets, sessions.items, sessions.vocab.ids, sessions.users):
        if array is not None:
            plain = "\n".join(map(str, array.tolist())).encode() if array.dtype == object else array.tobytes()
            sha.update(hashlib.sha256(plain).digest())
    return sha.hexdigest()


CONTINUING_EPOCHS = 2  # most epochs of a warm start
CONTINUING_RATE = 0.001  # highest learning rate of AdamW for tables in a warm start, since its state is new
_K = 20
_MIN_LENGTH = 3  # items of a session whose last item may be held out
_MAX_SESSIONS = 2000
_FRACTION = 20  # one of so many sessions is held out


def parse_layers(text: str, field: str) -> list[int]:
    """Hidden units of layers: "128,64" → [128, 64]. Raises SettingsError for anything else."""
    try:
        units = [int(part) for part in text.split(",")] if text else []
    except ValueError:
        units = [0]
    if units and min(units) < 1:
        raise SettingsError(f'{field} must be whole numbers as in "128,64", or empty for none, but is {text!r}')
    return units
