"""The protocols of recipes and models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np

from embedrec.config import settings_of
from embedrec.data.session_changes import SessionChanges
from embedrec.data.sessions import Sessions
from embedrec.data.topk import TopK
from embedrec.data.vocab import Vocab
from embedrec.progress import Report
from embedrec.text import Summary, counted

Arrays = Mapping[str, np.ndarray]


@runtime_checkable
class Model(Protocol):
    """A finished model: immutable, safe to share between threads."""

    @property
    def recipe(self) -> ModelSettings: ...

    @property
    def vocab(self) -> Vocab: ...

    @property
    def arrays(self) -> Arrays:
        """Everything `recipe.from_arrays` needs besides the vocabulary."""
        ...

    def recommend(self, histories: Sessions, k: int, *, exclude_seen: bool = True) -> TopK:
        """The k best next items of each history.

        histories     S sessions in any vocabulary; unknown items are ignored
        exclude_seen  whether items of the history are left out
        Returns TopK (S, k). Raises SettingsError when k is not in 1 … n. An empty history is allowed.
        """
        ...


@runtime_checkable
class ThreadedModel(Model, Protocol):
    """A model that answers a batch of histories with several threads."""

    def with_threads(self, threads: int) -> ThreadedModel:
        """The same model with another number of threads. Raises SettingsError when it is below 1."""
        ...


def model_summary(recipe: Any, vocab: Vocab, facts: Sequence[str]) -> Summary:
    """What is shown of a model: its recipe, numbers and further facts; and its settings."""
    settings = settings_of(recipe)
    columns = {"setting": [*settings], "value": [*settings.values()]} if settings else {}
    return Summary([recipe.name, *counted(items=len(vocab)), *facts], columns)


class ModelSettings(Protocol):
    """Settings that build a model from a vocabulary and arrays."""

    name: ClassVar[str]

    def from_arrays(self, vocab: Vocab, arrays: Arrays) -> Model: ...


class Recipe(ModelSettings, Protocol):
    """Settings that train a model; a frozen dataclass."""

    def fit(self, sessions: Sessions, *, seed: int, threads: int, report: Report) -> Model:
        """Train on sessions; ends in `from_arrays`, so that trained and loaded models cannot differ.

        seed     source of all randomness
        threads  number of threads
        report   called as `report("epoch", epoch=…, loss=…, …)`
        """
        ...


class WarmStartRecipe(Recipe, Protocol):
    """A recipe whose training can continue a finished model."""

    def continuing(self, *, changes: bool = False) -> Self:
        """These settings for a warm start: with less training, where the model trains.

        changes  whether the warm start is told which sessions changed
        """
        ...

    def fit(
        self,
        sessions: Sessions,
        *,
        init: Any = None,
        changes: SessionChanges | None = None,
        seed: int,
        threads: int,
        report: Report,
    ) -> Model:
        """Like `Recipe.fit`, from the model `init`; None starts from scratch.

        changes  what differs between the sessions of `init` and these, which are `changes.new`; without it, all are new
        """
        ...


class ExactIncrement:
    """The base of recipes whose warm start is a full fit, as it is as cheap as an increment: equal in every byte.

    `init` and `changes` have no effect on their `fit`, and commands load neither.
    """

    def continuing(self, *, changes: bool = False) -> Self:
        """The same settings."""
        return self
