"""Training of the self-attentive model: windows of sessions, batches, and the finished model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.kernels.sampling import alias_table, draw, noise_weights
from embedrec.models.array_packing import pack_ids
from embedrec.models.feature_encoder import all_users, catalogue
from embedrec.models.item_user_vectors import start_items, start_users
from embedrec.models.torch_recipe import padded_counts
from embedrec.models.transformer.network import Block, Network
from embedrec.models.transformer.settings import SASRecSettings
from embedrec.models.vector_model import VectorModel
from embedrec.models.warm_start import TrainingStart
from embedrec.storage.memory_budget import count_rows
from embedrec.training.devices import generator
from embedrec.training.loop import Batch
from embedrec.training.row_adagrad import RowAdagrad
from embedrec.training.row_squares import row_squares


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of at most `history` inputs, each followed by its target; every target is in one window.

    starts   (w,) the first event of a window
    lengths  (w,) its inputs
    firsts   (w,) the first input whose next event is a target of this window: later windows of a session begin half a
             window before their first target, so that it has a history
    """

    starts: np.ndarray
    lengths: np.ndarray
    firsts: np.ndarray

    @classmethod
    def of(cls, sessions: Sessions, history: int) -> Windows:
        """The windows of sessions of two events or more, in the order of their first events."""
        order = np.arange(len(sessions))
        if sessions.times is not None and len(sessions.items):
            first = np.minimum(sessions.offsets[:-1], len(sessions.items) - 1)
            order = np.argsort(sessions.times[first], kind="stable")
        inputs = sessions.lengths[order] - 1
        order, inputs = order[inputs > 0], inputs[inputs > 0]
        stride = (history + 1) // 2
        counts = 1 + -(-np.maximum(inputs - history, 0) // stride)  # windows of each session
        number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        skipped, inputs = number * stride, np.repeat(inputs, counts)
        lengths = np.minimum(inputs - skipped, history)
        firsts = np.where(number > 0, history - stride, 0)
        return cls(np.repeat(sessions.offsets[order], counts) + skipped, lengths, firsts)

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def targets(self) -> np.ndarray:
        """(w,) number of targets of each window."""
        return self.lengths - self.firsts


@dataclass(frozen=True)
class WindowBatch(Batch):
    """Windows of a step; its examples are their targets.

    examples  number of targets
    """

    examples: int = 0

    def __len__(self) -> int:
        return self.examples

    def part(self, number: int, count: int) -> Batch:
        """Every count-th window, so that processes get windows of similar lengths."""
        return Batch(tuple(tensor[number::count] for tensor in self.each), self.shared)


class SASRecLearner:
    """See `training.loop.Learner`. An example is an event and the events before it in its window."""

    def __init__(
        self,
        recipe: SASRecSettings,
        sessions: Sessions,
        *,
        seed: int,
        start: TrainingStart | None = None,
        counts: np.ndarray | None = None,
    ) -> None:
        """counts  see `SharedNeural.share_learner`; None counts the sessions"""
        self.recipe, self.seed, self.start = recipe, seed, start
        every = sessions if start is None else start.sessions
        self.stepping: list[torch.optim.Optimizer] = []  # those of `optimizers`
        self.vocab, features = catalogue(sessions, features=recipe.features)
        self.user_ids = all_users(every, features=recipe.features) if recipe.users else None
        self.windows = Windows.of(sessions, recipe.history)
        self.examples = int(self.windows.targets.sum())
        if not self.examples:
            raise DataError(
                f"no session has two events to learn from ({len(sessions)} sessions, {len(sessions.items)} events): "
                "prepare sessions of two or more events"
            )
        self.counts = padded_counts(
            count_rows(every.items, len(every.vocab)) if counts is None else counts, len(self.vocab)
        )
        network = Network(recipe, sessions, self.counts, features, self.user_ids)
        if start is not None:
            start_network(network, start, self.vocab, self.user_ids)
        self.module: nn.Module = network
        self.drawn = alias_table(noise_weights(self.counts, recipe.ns_exponent))

    def optimizers(self) -> Sequence[torch.optim.Optimizer]:
        tables = [p for name, p in self.module.named_parameters() if name.endswith("table")]
        others = [p for name, p in self.module.named_parameters() if not name.endswith("table")]
        layers = torch.optim.AdamW(others, self.recipe.layer_rate, fused=True)
        self.stepping = [RowAdagrad(tables, self.recipe.learning_rate), layers]
        if self.start is not None:
            self.start.start_squares(self.stepping, dict(self.module.named_parameters())["item_table"], self.vocab)
        return self.stepping

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Windows of about `batch` targets: `starts`, `lengths`, `firsts`; and negatives.

        Other targets of a batch are no negatives: those of the same session are similar, and would be drawn more often
        than the correction assumes.
        """
        windows, order = self.windows, np.arange(len(self.windows))
        if self.recipe.order == "random":
            order = torch.randperm(len(order), generator=generator(self.seed, epoch)).numpy()
        ends = np.cumsum(windows.targets[order])
        steps = np.unique(np.searchsorted(ends, np.arange(0, self.examples, self.recipe.batch), side="left"))
        for step, (first, stop) in enumerate(zip(steps, [*steps[1:], len(order)], strict=True)):
            chosen = order[first:stop]
            chosen = chosen[np.argsort(windows.lengths[chosen], kind="stable")]
            drawn = np.empty(self.recipe.negatives, dtype=np.int64)
            draw(*self.drawn, self.seed, epoch, step, drawn)
            columns = (windows.starts, windows.lengths, windows.firsts)
            each = tuple(torch.from_numpy(column[chosen]) for column in columns)
            yield WindowBatch(each, (torch.from_numpy(drawn),), int(windows.targets[chosen].sum()))

    def model(self) -> VectorModel:
        """Arrays "cold" (n,) uint8, those of `Network.arrays`, and the ids of users."""
        network = self.module
        assert isinstance(network, Network)
        arrays: dict[str, np.ndarray] = {"cold": (self.counts == 0).astype(np.uint8), **network.arrays()}
        arrays["squares"] = row_squares(self.stepping, network.item_table)
        if self.user_ids is not None:
            arrays |= pack_ids(self.user_ids.ids, "user")
        return self.recipe.from_arrays(self.vocab, arrays if self.start is None else self.start.rotated(arrays))


@torch.no_grad()
def start_network(network: Network, start: TrainingStart, vocab: Vocab, users: Vocab | None) -> None:
    """Start a network with that of a model, whose layers contain the scales of their normalisations."""
    shape = ("dim", "blocks", "heads", "hidden", "gates", "positions", "query", "history", "scoring", "users")
    start.check(network.recipe, shape)
    arrays = start.arrays

    def copy(parameter: torch.Tensor, name: str) -> None:
        parameter.copy_(torch.tensor(arrays[name]))

    def layer(module: nn.Module | None, name: str, number: str) -> None:
        if isinstance(module, nn.Linear):
            module.weight.copy_(torch.tensor(arrays[f"{name}{number}"].T))
            copy(module.bias, f"{name}_bias{number}")

    start_items(network, start, vocab, arrays["items"])
    if users is not None:
        start_users(network, users, arrays)
    if network.places is not None:
        copy(network.places, "places")
    for number, block in enumerate(network.blocks):
        assert isinstance(block, Block)
        for name in ("attend", "merge", "widen", "narrow"):
            layer(getattr(block, name), name, str(number))
        layer(block.gate1, "gate_attention", str(number))
        layer(block.gate2, "gate_feed", str(number))
        if block.distances.relative:
            copy(block.distances.logits, f"distances{number}")
    if network.mean is None:
        copy(network.norm.weight, "scale")
        copy(network.norm.bias, "shift")
        return
    layer(network.mean.attend, "mean", "")
    if network.mean.distances.relative:
        copy(network.mean.distances.logits, "mean_distances")
