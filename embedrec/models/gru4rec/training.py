"""Training of GRU4Rec: batches, optimizers, and the finished model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

import numpy as np
import torch
from torch import Tensor, nn

from embedrec.data.features import Features
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.kernels.sampling import alias_table, draw, noise_weights
from embedrec.models.base import Model
from embedrec.models.feature_encoder import EncodedFeatures, catalogue, encode_features, fit_features
from embedrec.models.gru4rec.network import Cell, Network
from embedrec.models.gru4rec.session_batches import StreamBatch, Streams
from embedrec.models.gru4rec.settings import GRU4RecSettings
from embedrec.models.torch_recipe import padded_counts
from embedrec.models.warm_start import TrainingStart
from embedrec.storage.memory_budget import count_rows
from embedrec.training.loop import Batch
from embedrec.training.row_adagrad import RowAdagrad
from embedrec.training.row_adamw import RowAdamW
from embedrec.training.row_squares import row_squares
from embedrec.vectors.embeddings import Embeddings

_COLD_NEIGHBOURS = 10  # nearest warm items whose mean output vector a cold item gets
_BLOCK_NEGATIVES = 1 << 20  # negatives drawn at a time: 8 MB


class GRU4RecLearner:
    """See `training.loop.Learner`. An example is an event and the next event of its session."""

    def __init__(
        self,
        recipe: GRU4RecSettings,
        sessions: Sessions,
        *,
        seed: int,
        counts: np.ndarray | None = None,
        start: TrainingStart | None = None,
    ) -> None:
        """counts  see `SharedNeural.share_learner`; None counts the sessions"""
        self.recipe, self.seed, self.start = recipe, seed, start
        every = sessions if start is None else start.sessions
        self.stepping: list[torch.optim.Optimizer] = []  # those of `optimizers`
        self.vocab, features = catalogue(sessions, features=recipe.input in ("content", "content-mlp"))
        self.streams = Streams.of(sessions, recipe.batch)
        self.examples = self.streams.examples
        if not self.examples:
            raise DataError(
                f"no session has two events to learn from ({len(sessions)} sessions, {len(sessions.items)} events): "
                "prepare sessions of two or more events"
            )
        counts = padded_counts(count_rows(every.items, len(every.vocab)) if counts is None else counts, len(self.vocab))
        self.cold = counts == 0
        network = Network(recipe, counts, self.streams.count, _encode(recipe, features, counts))
        if start is not None:
            start_network(network, start, self.vocab, ~self.cold)
        self.module: nn.Module = network
        self.items = sessions.items.astype(np.int64)
        self.begins = np.zeros(len(sessions.items), dtype=bool)
        self.begins[sessions.offsets[self.streams.order]] = True
        self.drawn = alias_table(noise_weights(counts, recipe.sample_alpha))

    def optimizers(self) -> Sequence[torch.optim.Optimizer]:
        parameters, recipe = dict(self.module.named_parameters()), self.recipe
        if recipe.optimizer == "adagrad":
            self.stepping = [RowAdagrad(parameters.values(), recipe.learning_rate, recipe.momentum)]
            if self.start is not None:
                self.start.start_squares(self.stepping, parameters["item_table"], self.vocab)
            return self.stepping
        tables = [p for name, p in parameters.items() if name.endswith("table")]
        others = [p for name, p in parameters.items() if not name.endswith("table")]
        return [
            RowAdamW(tables, recipe.learning_rate, (0.9, 0.999), 1e-8),
            torch.optim.Adam(others, recipe.learning_rate),
        ]

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Steps of all streams: their numbers, whether a session begins, its item, the position of the next item among
        the targets; and these targets, and negatives."""
        samples = self._samples(epoch)
        streams = self.streams.count
        all_streams = torch.arange(streams)
        for events in self.streams.blocks():
            active = events >= 0
            full = int(active.all(axis=1).sum())  # first steps with all streams; an ended stream stays ended
            begins, items, targets = (
                torch.from_numpy(array[places])
                for array, places in ((self.begins, events), (self.items, events), (self.items, events + 1))
            )
            for t in range(len(events)):
                if t < full:
                    yield StreamBatch(
                        (all_streams, begins[t], items[t], all_streams), (targets[t], next(samples)), streams
                    )
                else:
                    left = torch.from_numpy(np.flatnonzero(active[t]))
                    each = (left, begins[t][left], items[t][left], torch.arange(len(left)))
                    yield StreamBatch(each, (targets[t][left], next(samples)), streams)

    def _samples(self, epoch: int) -> Iterator[Tensor]:
        """Negatives of a step, drawn with replacement: (n_sample,)."""
        size = self.recipe.n_sample
        steps = max(1, min(_BLOCK_NEGATIVES // max(1, size), self.examples // self.streams.count))
        for block in count():
            rows = np.empty(steps * size, dtype=np.int64)
            draw(*self.drawn, self.seed, epoch, block, rows)
            yield from torch.from_numpy(rows).view(steps, size)

    def model(self) -> Model:
        """Arrays "items" (n, h + 1), "inputs" unless input=constrained, and those of the layers, see `from_arrays`.

        Where there are items without events, "cold" (n,) uint8 marks them; each gets the mean output vector of the
        items whose inputs are nearest to its own.
        """
        network = self.module
        assert isinstance(network, Network)
        arrays = dict(network.arrays())
        if self.recipe.optimizer == "adagrad":
            arrays["squares"] = row_squares(self.stepping, network.item_table)
        if self.cold.any():
            arrays["items"] = _fill_cold_items(arrays["items"], arrays["inputs"], self.cold)
            arrays["cold"] = self.cold.astype(np.uint8)
        return self.recipe.from_arrays(self.vocab, arrays if self.start is None else self.start.rotated(arrays))


@torch.no_grad()
def start_network(network: Network, start: TrainingStart, vocab: Vocab, known: np.ndarray) -> None:
    """Start a network with that of a model; embeddings of features with the least-squares fit of the model's inputs.

    known  (n,) bool items with events
    """
    start.check(network.recipe, ("input", "layers", "embedding_dim"))
    if network.recipe.input == "content-mlp":
        raise SettingsError(
            "a gru4rec model of input=content-mlp does not keep the layers of its input, so that its training cannot "
            "be continued; train without a warm start"
        )
    arrays = start.arrays
    network.item_table.copy_(torch.from_numpy(start.vectors(network.item_table.numpy(), vocab, arrays["items"])))
    if network.recipe.input in ("embedding", "onehot"):
        network.input_table.copy_(torch.from_numpy(start.vectors(network.input_table.numpy(), vocab, arrays["inputs"])))
    elif network.features is not None:
        inputs = arrays["inputs"] @ arrays["input0"] if "input0" in arrays else arrays["inputs"]
        rows = start.model.vocab.rows_of(vocab.ids)
        fit_features(network.features, inputs[rows], known & (rows >= 0))
    for number, cell in enumerate(network.cells):
        assert isinstance(cell, Cell)
        if cell.input is not None:
            cell.input.copy_(torch.tensor(arrays[f"input{number}"]))
        cell.hidden.copy_(torch.tensor(arrays[f"hidden{number}"]))
        cell.input_bias.copy_(torch.tensor(arrays[f"input_bias{number}"]))
        cell.hidden_bias.copy_(torch.tensor(arrays[f"hidden_bias{number}"]))


def _encode(recipe: GRU4RecSettings, features: Features | None, counts: np.ndarray) -> EncodedFeatures | None:
    """Encoded item features if the input needs them. Raises DataError when the sessions have none."""
    if recipe.input not in ("content", "content-mlp"):
        return None
    if features is None:
        raise DataError(
            "these sessions have no item features, which the input needs; prepare them with --item-features, or "
            "set input=constrained"
        )
    return encode_features(features, counts > 0)


def _fill_cold_items(items: np.ndarray, inputs: np.ndarray, cold: np.ndarray) -> np.ndarray:
    """Output vectors (n, h + 1); a cold item gets the mean of the warm items with the nearest inputs (n, m)."""
    warm = np.flatnonzero(~cold)
    known = Embeddings(inputs[warm], Vocab(np.arange(len(warm))), "cosine")
    nearest = known.search(inputs[cold], min(_COLD_NEIGHBOURS, len(warm))).rows  # (c, k)
    items = items.copy()
    items[cold] = items[warm][nearest].mean(axis=1)
    return items
