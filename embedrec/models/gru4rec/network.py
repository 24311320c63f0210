"""The network of GRU4Rec in training: states of the streams, inputs, and the loss of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from embedrec.models.feature_encoder import EncodedFeatures, FeatureSum, distinct
from embedrec.models.gru4rec import losses
from embedrec.models.gru4rec.settings import GRU4RecSettings
from embedrec.models.torch_recipe import parse_layers
from embedrec.training.loop import Batch

_BLOCK = 1 << 14  # items whose inputs are computed at a time
_MLP = 64


class Network(nn.Module):
    """The recurrent network, the states of the streams, and the items. `forward` gives the sum of a batch's losses."""

    log_counts: Tensor

    def __init__(
        self, recipe: GRU4RecSettings, counts: np.ndarray, streams: int, coded: EncodedFeatures | None
    ) -> None:
        super().__init__()
        self.recipe, self.n = recipe, len(counts)
        units = parse_layers(recipe.layers, "layers")
        last = units[-1]
        self.item_table = nn.Parameter(torch.zeros(self.n, last + 1))  # the last column is the bias
        init_uniform(self.item_table.data[:, :-1], self.n, last)
        self.features: FeatureSum | None = None
        first: int | None = None  # length of an input; None if inputs are gate pre-activations already
        if recipe.input == "constrained":
            first = last
        elif recipe.input == "embedding":
            first = recipe.embedding_dim
            self.input_table = nn.Parameter(init_uniform(torch.empty(self.n, first), self.n, first))
        elif recipe.input == "onehot":
            self.input_table = nn.Parameter(init_uniform(torch.empty(self.n, 3 * units[0]), self.n, units[0]))
        elif coded is not None:
            first = self._add_features(coded, units[0])
        sizes = [first, *units]
        self.cells = nn.ModuleList(Cell(size, h) for size, h in zip(sizes, units, strict=False))
        shares = np.log(np.maximum(counts, 1) / max(counts.sum(), 1))
        self.register_buffer("log_counts", torch.from_numpy(shares.astype(np.float32)), persistent=False)
        for number, size in enumerate(units):
            self.register_buffer(f"state{number}", torch.zeros(streams, size), persistent=False)

    def _add_features(self, coded: EncodedFeatures, units: int) -> int | None:
        """Add inputs from features. Returns their length, None if they are gate pre-activations already."""
        perceptron = self.recipe.input == "content-mlp"
        self.features = FeatureSum(coded, _MLP if perceptron else 3 * units)
        self.feature_count = coded.count + coded.numbers.shape[1]  # words and numbers in all
        for parameter in self.features.parameters():
            init_uniform(parameter, self.feature_count, _MLP if perceptron else units)
        if not perceptron:
            return None
        self.features_bias = nn.Parameter(torch.zeros(_MLP))
        self.second = nn.Linear(_MLP, _MLP)
        init_uniform(self.second.weight, _MLP, _MLP)
        nn.init.zeros_(self.second.bias)
        return _MLP

    def forward(self, batch: Batch) -> Tensor:
        streams, begins, inputs, column = batch.each
        targets, samples = batch.shared
        named = [targets, samples]
        if self.recipe.input == "constrained":
            named.append(inputs)
        rows, place = distinct(torch.cat(named), self.n)
        target_columns, drawn, again = torch.tensor_split(place, [len(targets), len(targets) + len(samples)])
        vectors, x = _TableRows.apply(self.item_table, rows, again)  # type: ignore[no-untyped-call]  # (u, h + 1), (b, h)
        if self.recipe.input != "constrained":
            x = self.inputs(inputs)
        queries = self.advance(x, streams, begins)
        loss = self._loss(rows, target_columns, drawn, column)
        total: Tensor = _RankingLoss.apply(queries, vectors, target_columns[column], loss)  # type: ignore[no-untyped-call]
        if self.recipe.regularisation:
            total = total + len(streams) * self.recipe.regularisation / 2 * (vectors**2).sum()
        return total

    def inputs(self, rows: Tensor) -> Tensor:
        """Inputs of the first layer unless input=constrained, before dropout: (b, m)."""
        if self.features is None:
            return functional.embedding(rows, self.input_table, sparse=True)
        encoded = self.features(rows)
        if self.recipe.input == "content":
            return encoded
        hidden = torch.relu(encoded + self.features_bias)
        return torch.relu(self.second(hidden))

    def advance(self, x: Tensor, streams: Tensor, begins: Tensor) -> Tensor:
        """Advance the states of these streams; returns the output of the last layer, (b, h)."""
        x = dropout(x, self.recipe.embedding_dropout if self.training else 0.0)
        for number, cell in enumerate(self.cells):
            states: Tensor = getattr(self, f"state{number}")
            whole = len(streams) == len(states)
            before = states if whole else states[streams]
            before = before.masked_fill(begins[:, None], 0.0)
            after = cell(x, before)
            kept = after.detach().float()
            setattr(self, f"state{number}", kept if whole else states.index_copy(0, streams, kept))
            x = dropout(after, self.recipe.hidden_dropout if self.training else 0.0)
        return x

    def _loss(self, rows: Tensor, target_columns: Tensor, drawn: Tensor, column: Tensor) -> losses.Loss:
        """The loss over the items of `rows` (u,): `target_columns` (c,) are targets, `drawn` (m,) negatives."""
        recipe, size = self.recipe, len(rows)
        if recipe.loss == "cross-entropy":
            shares = recipe.logq * self.log_counts[rows]
            targets, samples = (torch.bincount(places, minlength=size).log() for places in (target_columns, drawn))
            logs = torch.logaddexp(targets - shares, samples - recipe.sample_alpha * shares)
            return partial(losses.cross_entropy, logs=logs, own=-shares[target_columns[column]])
        weights = (torch.bincount(target_columns, minlength=size) + torch.bincount(drawn, minlength=size)).float()
        if recipe.loss == "bpr":
            return partial(losses.bpr, weights=weights)
        return partial(losses.bpr_max, weights=weights, elu=recipe.elu, bpreg=recipe.bpreg)

    @torch.no_grad()
    def arrays(self) -> Mapping[str, np.ndarray]:
        """The arrays of the model."""
        arrays: dict[str, Tensor] = {"items": self.item_table}
        for number, cell in enumerate(self.cells):
            assert isinstance(cell, Cell)
            if cell.input is not None:
                arrays[f"input{number}"] = cell.input
            arrays |= {f"hidden{number}": cell.hidden, f"input_bias{number}": cell.input_bias}
            arrays[f"hidden_bias{number}"] = cell.hidden_bias
        if self.recipe.input == "content" and self.feature_count < arrays["hidden0"].shape[1]:  # the smaller form
            assert self.features is not None
            arrays["inputs"], arrays["input0"] = feature_matrix(self.features, self.feature_count)
        elif self.recipe.input != "constrained":
            blocks = torch.split(torch.arange(self.n, device=self.item_table.device), _BLOCK)
            arrays["inputs"] = torch.cat([self.inputs(rows) for rows in blocks])
        return {name: tensor.detach().float().cpu().contiguous().numpy().copy() for name, tensor in arrays.items()}


class Cell(nn.Module):
    """A recurrent layer, see `numpy_gru.Layer`; `size` is None if inputs are the 3h pre-activations already."""

    def __init__(self, size: int | None, h: int) -> None:
        super().__init__()
        self.input = None if size is None else nn.Parameter(init_uniform(torch.empty(size, 3 * h), size, h))
        self.hidden = nn.Parameter(init_uniform(torch.empty(h, 3 * h), h, h))
        self.input_bias = nn.Parameter(torch.zeros(3 * h))
        self.hidden_bias = nn.Parameter(torch.zeros(3 * h))

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        """States (b, h) → (b, h), of inputs (b, m)."""
        from_input = x + self.input_bias if self.input is None else torch.addmm(self.input_bias, x, self.input)
        from_state = torch.addmm(self.hidden_bias, before, self.hidden)
        h = before.shape[1]
        gates = torch.sigmoid(from_input[:, : 2 * h] + from_state[:, : 2 * h])
        candidate = torch.tanh(from_input[:, 2 * h :] + gates[:, :h] * from_state[:, 2 * h :])
        return candidate + gates[:, h:] * (before - candidate)


class _RankingLoss(torch.autograd.Function):
    """The sum of the losses of queries (b, h) with vectors (u, h + 1)."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, queries: Tensor, vectors: Tensor, column: Tensor, loss: losses.Loss
    ) -> Tensor:
        queries = torch.cat([queries, queries.new_ones(len(queries), 1)], 1).to(vectors.dtype)
        values, gradient = loss((queries @ vectors.T).float(), column)
        ctx.save_for_backward(queries, vectors, gradient)
        return values.sum()

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *above: Tensor) -> tuple[Tensor | None, ...]:
        queries, vectors, gradient = ctx.saved_tensors  # type: ignore[attr-defined]
        return (gradient @ vectors[:, :-1]).mul_(above[0]), gradient.T @ (queries * above[0]), None, None


class _TableRows(torch.autograd.Function):
    """Distinct rows of a table, and a selection of them without the last column; the gradient is sparse."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, table: Tensor, rows: Tensor, again: Tensor
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(rows, again)
        ctx.shape = table.shape  # type: ignore[attr-defined]
        values = table.index_select(0, rows)
        return values, values.index_select(0, again)[:, :-1]

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *above: Tensor) -> tuple[Tensor | None, ...]:
        rows, again = ctx.saved_tensors  # type: ignore[attr-defined]
        shape = ctx.shape  # type: ignore[attr-defined]
        if len(again):
            above[0][:, :-1].index_add_(0, again, above[1])  # this gradient is not shared
        return torch.sparse_coo_tensor(rows[None], above[0], shape), None, None


def feature_matrix(features: FeatureSum, count: int) -> tuple[Tensor, Tensor]:
    """Features as one matrix (n, count), words first, and the matrix (count, m) that maps them to inputs."""
    n, numbers = features.numbers.shape
    matrix = torch.zeros(n, count, device=features.numbers.device)
    row = torch.repeat_interleave(torch.arange(n, device=matrix.device), torch.diff(features.offsets))
    matrix.index_put_((row, features.words), features.weights, accumulate=True)
    matrix[:, count - numbers :] = features.numbers
    parts = [features.table[: count - numbers]]
    if features.linear is not None:
        parts.append(features.linear.weight.T)
    return matrix, torch.cat(parts)


def dropout(x: Tensor, share: float) -> Tensor:
    """Dropout of x (b, m): a share of values, rounded to 1/256, becomes 0; the others are scaled up.

    Random bytes are ten times faster than torch's random booleans.
    """
    of = round((1 - share) * 256)  # values of 256 that are kept
    if of == 256:
        return x
    words = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device).random_(-(2**63), None)
    kept = words.view(torch.uint8)[: x.numel()].view(x.shape) < of
    return x * kept * (256 / of)


def init_uniform(weights: Tensor, inputs: int, outputs: int) -> Tensor:
    """Weights drawn uniformly from ±√(6 / (inputs + outputs)), in place (Glorot & Bengio 2010)."""
    nn.init.uniform_(weights, -((6 / (inputs + outputs)) ** 0.5), (6 / (inputs + outputs)) ** 0.5)
    return weights
