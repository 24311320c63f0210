"""Training of the two towers: the module, batches, and the finished model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from embedrec.data.features import Features
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.models.array_packing import pack_ids
from embedrec.models.feature_encoder import all_users, catalogue, distinct
from embedrec.models.item_user_vectors import ItemUserVectors, start_items, start_users
from embedrec.models.torch_recipe import padded_counts, parse_layers
from embedrec.models.two_tower.settings import TwoTowerSettings
from embedrec.models.vector_model import VectorModel
from embedrec.models.warm_start import TrainingStart
from embedrec.storage.memory_budget import count_rows
from embedrec.training.devices import generator
from embedrec.training.loop import Batch
from embedrec.training.row_squares import row_squares


def create_learner(
    recipe: TwoTowerSettings,
    sessions: Sessions,
    *,
    seed: int,
    start: TrainingStart | None = None,
    counts: np.ndarray | None = None,
) -> TwoTowerLearner:
    """Towers for the items (and users, and features) of these sessions, and their examples.

    counts  see `SharedNeural.share_learner`; None counts the sessions
    """
    vocab, item_features = catalogue(sessions, features=recipe.features)
    every = sessions if start is None else start.sessions
    counts = padded_counts(count_rows(every.items, len(every.vocab)) if counts is None else counts, len(vocab))
    return TwoTowerLearner(recipe, sessions, vocab, item_features, counts, seed=seed, start=start)


class TwoTowerLearner:
    """See `training.loop.Learner`. An example is an event and the events before it in its session."""

    def __init__(
        self,
        recipe: TwoTowerSettings,
        sessions: Sessions,
        vocab: Vocab,
        features: Features | None,
        counts: np.ndarray,
        *,
        seed: int,
        start: TrainingStart | None = None,
    ) -> None:
        self.recipe, self.vocab, self.seed, self.start = recipe, vocab, seed, start
        every = sessions if start is None else start.sessions
        self.user_ids = all_users(every, features=recipe.features) if recipe.users else None
        self.counts = counts
        events = np.arange(len(sessions.items))
        if self.user_ids is None:
            events = events[sessions.position_of > 0]
        if not len(events) or not (recipe.history or self.user_ids):
            raise DataError(
                f"there is no event to learn from ({len(sessions)} sessions, {len(sessions.items)} events): a query "
                "needs items before it in its session, or a user"
            )
        self.events = torch.from_numpy(events)
        self.examples = len(events)
        self.stepping: list[torch.optim.Optimizer] = []  # those of `optimizers`
        self.trend = None if recipe.trend is None else popularity_trend(every, self.counts, recipe.trend)
        self.items = torch.from_numpy(sessions.items.astype(np.int64))
        towers = Towers(recipe, sessions, self.counts, features, self.user_ids)
        if start is not None:
            start_towers(towers, start, vocab, self.user_ids)
        self.module: nn.Module = towers
        self.drawn = torch.from_numpy(np.cumsum(self._noise()))

    def _noise(self) -> np.ndarray:
        """Sampling weights of negatives: (n,) float64; 0 for cold items."""
        return noise(self.counts, self.recipe.ns_exponent)

    def optimizers(self) -> Sequence[torch.optim.Optimizer]:
        tables = [p for name, p in self.module.named_parameters() if name.endswith("table")]
        others = [p for name, p in self.module.named_parameters() if not name.endswith("table")]
        self.stepping = [torch.optim.Adagrad(tables, self.recipe.learning_rate)]
        if others:
            self.stepping.append(torch.optim.AdamW(others, self.recipe.layer_rate))
        if self.start is not None:
            self.start.start_squares(self.stepping, dict(self.module.named_parameters())["item_table"], self.vocab)
        return self.stepping

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Shuffled events: their numbers, their positions among the batch's targets, and negatives."""
        random, recipe = generator(self.seed, epoch), self.recipe
        order = self.events[torch.randperm(self.examples, generator=random)]
        for events in torch.split(order, recipe.batch):
            if recipe.loss == "bce":
                drawn = self.draw(len(events) * negative_count(recipe), random)
                yield Batch((events, drawn.view(len(events), -1)))
            else:
                drawn = self.draw(negative_count(recipe), random)
                yield Batch((events, torch.arange(len(events))), (self.items[events], drawn))

    def draw(self, count: int, random: torch.Generator) -> Tensor:
        """Items drawn with replacement: (count,)."""
        chosen = torch.rand(count, generator=random, dtype=torch.float64) * self.drawn[-1]
        return torch.searchsorted(self.drawn, chosen, right=True).clamp(max=len(self.vocab) - 1)

    def model(self) -> VectorModel:
        """Arrays "items" (n, dim), "cold" (n,) uint8, those of `QueryTower`, and "users" (U, dim) with their ids."""
        towers = self.module
        assert isinstance(towers, Towers)
        arrays: dict[str, np.ndarray] = {"cold": (self.counts == 0).astype(np.uint8), **towers.arrays()}
        arrays["squares"] = row_squares(self.stepping, towers.item_table)
        if self.user_ids is not None:
            arrays |= pack_ids(self.user_ids.ids, "user")
        if self.trend is not None:
            arrays["trend"] = self.trend
        return self.recipe.from_arrays(self.vocab, arrays)


@torch.no_grad()
def start_towers(towers: Towers, start: TrainingStart, vocab: Vocab, users: Vocab | None) -> None:
    """Start both towers with those of a model: the same queries and items, whose layers begin as the identity."""
    start.check(towers.recipe, ("dim", "history", "query_layers", "scoring", "users"))
    arrays = start.arrays
    start_items(towers, start, vocab, arrays["items"])
    towers.places.copy_(torch.tensor(arrays["places"]))
    towers.attention.copy_(torch.tensor(arrays["attention"]))
    for number, layer in enumerate(towers.query_layers.layers):
        assert isinstance(layer, nn.Linear)
        layer.weight.copy_(torch.tensor(arrays[f"layer{number}"].T))
        layer.bias.copy_(torch.tensor(arrays[f"bias{number}"]))
    if users is not None:
        start_users(towers, users, arrays)


def negative_count(recipe: TwoTowerSettings) -> int:
    """The number of negatives: for a batch with softmax, for an example with bce."""
    if recipe.negatives is not None:
        return recipe.negatives
    return 2048 if recipe.loss == "softmax" else 10


def event_weights(sessions: Sessions, half_life: float | None) -> np.ndarray:
    """The weight of each event in training: (E,) float32, with mean 1.

    Raises SettingsError when a half-life needs times and sessions have none.
    """
    if half_life is None:
        return np.ones(len(sessions.items), dtype=np.float32)
    if sessions.days_ago is None:
        raise SettingsError("half_life of two-tower needs times, but the sessions have none; leave it out")
    weights = 0.5 ** (sessions.days_ago / half_life)
    return (weights / max(weights.mean(), 1e-300)).astype(np.float32)


def popularity_trend(sessions: Sessions, counts: np.ndarray, half_life: float) -> np.ndarray:
    """Log ratio of recent to overall popularity: (n,) float32, ln(share of decayed events / share of all events).

    counts     (n,) events of each item; 0 for what never occurs
    half_life  days in which the weight of an event halves. One smoothing event, distributed as all events, keeps
               the logarithm finite

    Raises SettingsError without times.
    """
    if sessions.days_ago is None:
        raise SettingsError("trend of two-tower needs times, but the sessions have none; leave it out")
    recent = np.bincount(sessions.items, 0.5 ** (sessions.days_ago / half_life), minlength=len(counts))
    shares = np.maximum(counts, 1) / max(counts.sum(), 1)
    trend = np.log((recent + shares) / (recent.sum() + 1) / shares)
    return np.where(counts > 0, trend, 0).astype(np.float32)


def noise(counts: np.ndarray, exponent: float) -> np.ndarray:
    """counts ** exponent, 0 for items without events: (n,) float64."""
    weights = np.zeros(len(counts))
    weights[counts > 0] = counts[counts > 0].astype(np.float64) ** exponent
    return weights


class Towers(ItemUserVectors):
    """Both towers, and the data of examples. `forward` returns the sum of a batch's losses."""

    items: Tensor
    weights: Tensor
    starts: Tensor
    expected: Tensor

    def __init__(
        self,
        recipe: TwoTowerSettings,
        sessions: Sessions,
        counts: np.ndarray,
        features: Features | None,
        user_ids: Vocab | None,
    ) -> None:
        super().__init__(recipe.dim, recipe.id_dropout, counts)
        self.recipe, d = recipe, recipe.dim
        self.item_layers = Layers(d, parse_layers(recipe.item_layers, "item_layers"))
        self.query_layers = Layers(d, parse_layers(recipe.query_layers, "query_layers"))
        self.places = nn.Parameter(torch.arange(recipe.history) * float(np.log(recipe.decay)))
        self.attention = nn.Parameter(torch.zeros(d), requires_grad=recipe.attention)
        self.create_item_features(features)
        self.create_users(sessions, user_ids, features=recipe.features)
        self.keep("items", sessions.items.astype(np.int64))  # (E,)
        self.keep("weights", event_weights(sessions, recipe.half_life))  # (E,)
        self.keep("starts", np.repeat(sessions.offsets[:-1], sessions.lengths))  # (E,) first event of the session
        self.keep("expected", np.log(expected_draws(recipe, counts)).astype(np.float32))  # (n,)

    def forward(self, batch: Batch) -> Tensor:
        if self.recipe.loss == "bce":
            events, negatives = batch.each
            targets, others = self.items[events], negatives.reshape(-1)
        else:
            (events, column), (targets, others) = batch.each, batch.shared
        history, ages, bags = self.histories(events)
        rows, place = distinct(torch.cat([history, targets, others]), len(self.known))
        vectors = self.item_vectors(rows)  # (u, d)
        queries = self.queries(vectors, place[: len(history)], ages, bags, events)  # (b, d)
        candidates = functional.embedding(place[len(history) :], vectors)  # (targets, then others; d)
        weights = self.weights[events]  # (b,)
        if self.recipe.scoring == "cosine":
            queries, candidates = functional.normalize(queries, dim=1), functional.normalize(candidates, dim=1)
        if self.recipe.loss == "bce":
            right, wrong = candidates[: len(events)], candidates[len(events) :].view(*negatives.shape, -1)
            positive = (queries * right).sum(1) / self.recipe.temperature  # (b,)
            negative = torch.einsum("bd,bmd->bm", queries, wrong) / self.recipe.temperature
            losses = -functional.logsigmoid(positive) - functional.logsigmoid(-negative).sum(1)
            return (weights * losses).sum()
        ids = torch.cat([targets, others])  # (c,)
        return sampled_softmax(
            queries / self.recipe.temperature,
            candidates,
            -self.recipe.logq * self.expected[ids],
            ids,
            column,
            weights,
        )

    def item_vectors(self, rows: Tensor) -> Tensor:
        """The item tower: (u, d)."""
        return self.item_layers(super().item_vectors(rows))

    def histories(self, events: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The last items before each event (t,), their ages from 0 for the last, and where each history begins (b,)."""
        lengths = torch.clamp(events - self.starts[events], max=self.recipe.history)  # (b,)
        ends = torch.cumsum(lengths, 0)
        bags = ends - lengths
        ages = torch.arange(int(lengths.sum()), device=events.device) - torch.repeat_interleave(bags, lengths)
        return self.items[torch.repeat_interleave(events, lengths) - 1 - ages], ages, bags

    def queries(self, vectors: Tensor, history: Tensor, ages: Tensor, bags: Tensor, events: Tensor) -> Tensor:
        """The query tower: (b, d). `history` (t,) are rows of `vectors`."""
        if not len(history):
            queries = torch.zeros(len(bags), self.recipe.dim, device=bags.device)
        else:
            queries = self._mean(functional.dropout(vectors, self.recipe.dropout, self.training), history, ages, bags)
        if self.user_table is not None:
            queries = queries + self.user_vectors(self.user_of[events])
        return self.query_layers(queries)

    def _mean(self, vectors: Tensor, history: Tensor, ages: Tensor, bags: Tensor) -> Tensor:
        """The weighted mean of each history, (b, d); zero for an empty one."""
        weights = torch.exp(self.places[ages] + (vectors @ self.attention)[history])  # (t,)
        bag = torch.repeat_interleave(torch.arange(len(bags), device=bags.device), _lengths(bags, len(history)))
        totals = torch.zeros(len(bags), device=bags.device).index_add(0, bag, weights)
        sums = functional.embedding_bag(history, vectors, bags, mode="sum", per_sample_weights=weights)
        return sums / torch.where(totals > 0, totals, 1.0)[:, None]

    def query_arrays(self) -> Mapping[str, Tensor]:
        """The arrays of the query tower."""
        arrays: dict[str, Tensor] = {"places": self.places, "attention": self.attention}
        for number, layer in enumerate(self.query_layers.layers):
            assert isinstance(layer, nn.Linear)
            arrays |= {f"layer{number}": layer.weight.T, f"bias{number}": layer.bias}
        return arrays


class Layers(nn.Module):
    """x + a perceptron of x, initially x, since the last layer starts at zero."""

    def __init__(self, dim: int, hidden: list[int]) -> None:
        super().__init__()
        shapes = [dim, *hidden, dim] if hidden else []
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(shapes))
        if hidden:
            nn.init.zeros_(self.layers[-1].weight)  # type: ignore[arg-type]
            nn.init.zeros_(self.layers[-1].bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        hidden = x
        for number, layer in enumerate(self.layers):
            hidden = layer(functional.relu(hidden) if number else hidden)
        return x + hidden if len(self.layers) else x


def sampled_softmax(
    queries: Tensor, candidates: Tensor, bias: Tensor, ids: Tensor, column: Tensor, weights: Tensor
) -> Tensor:
    """The weighted sum of cross-entropies of the targets among all candidates; duplicates of a target are masked.

    queries     (b, d), column (b,) the candidate that is the target, weights (b,) of the losses
    candidates  (c, d), ids (c,) their items, bias (c,) added to their scores
    """
    loss: Tensor = _SampledSoftmax.apply(queries, candidates, bias, ids, column, weights)  # type: ignore[no-untyped-call]
    return loss


class _SampledSoftmax(torch.autograd.Function):
    """Computes gradients with the loss, so that the (b, c) scores are read four times instead of twelve."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        queries: Tensor,
        candidates: Tensor,
        bias: Tensor,
        ids: Tensor,
        column: Tensor,
        weights: Tensor,
    ) -> Tensor:
        scores = torch.addmm(bias, queries, candidates.T).float()  # (b, c)
        right = torch.arange(len(queries), device=ids.device), column
        score = scores[right]
        scores.masked_fill_(ids[None, :] == ids[column][:, None], -torch.inf)
        scores[right] = score
        total = torch.logsumexp(scores, 1)
        share = scores.sub_(total[:, None]).exp_()  # d loss / d score
        share[right] -= 1
        share = share.mul_(weights[:, None]).to(queries.dtype)
        ctx.save_for_backward(share @ candidates, share.T @ queries)
        return ((total - score) * weights).sum()

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *above: Tensor) -> tuple[Tensor | None, ...]:
        queries, candidates = ctx.saved_tensors  # type: ignore[attr-defined]
        return above[0] * queries, above[0] * candidates, None, None, None, None


def expected_draws(recipe: TwoTowerSettings, counts: np.ndarray) -> np.ndarray:
    """Expected number of draws of each item as candidate of a batch: (n,) float64; 1 for items never drawn.

    As a target in proportion to its count (Yi et al. 2019), and as one of the drawn negatives.
    """
    drawn = noise(counts, recipe.ns_exponent)
    expected = recipe.batch * counts / max(counts.sum(), 1) + negative_count(recipe) * drawn / max(drawn.sum(), 1e-300)
    return np.where(expected > 0, expected, 1)


def _lengths(bags: Tensor, total: int) -> Tensor:
    return torch.diff(bags, append=torch.tensor([total], device=bags.device))
