"""GRU4Rec: a step of training by plain formulas, streams against sessions, inputs, features, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from embedrec.data import Features, Sessions, Vocab
from embedrec.data.features import Categories, Lists
from embedrec.errors import DataError, SettingsError
from embedrec.models.gru4rec.network import Network, dropout
from embedrec.models.gru4rec.recipe import GRU4Rec, RecurrentModel
from embedrec.models.gru4rec.training import GRU4RecLearner
from embedrec.training.context import TrainingContext
from tests.conftest import of_lists, read_only, tiny_sessions
from tests.training.toy import clustered_sessions

DRY: dict[str, Any] = {"embedding_dropout": 0.0, "hidden_dropout": 0.0}
SMALL: dict[str, Any] = {"layers": "8", "epochs": 3, "batch": 8, "n_sample": 12}
INPUTS = ("constrained", "embedding", "onehot", "content", "content-mlp")


def told(sessions: Sessions, *, less: int = 0, lists: bool = True) -> Sessions:
    """Every item but the last `less` has its group as a category, in a list, and a number."""
    ids = sessions.vocab.ids[: len(sessions.vocab) - less]
    group = np.array([int(str(i)[1:]) // 5 if len(str(i)) > 1 else ord(str(i)) % 3 for i in ids], dtype=np.int32)
    names = np.array([f"g{g}" for g in range(6)], dtype=object)
    words = {"tags": Lists(np.arange(len(ids) + 1), group, names)} if lists else {}
    kinds = {"group": Categories(group, names)} if lists else {}
    return replace(sessions, item_features=Features(Vocab(ids), {"n": group.astype(np.float32)}, kinds, words))


def learner_of(sessions: Sessions, **settings: Any) -> GRU4RecLearner:
    torch.manual_seed(0)
    learner = GRU4Rec(**{**SMALL, **settings}).learner(sessions, seed=0, device="cpu")
    assert isinstance(learner, GRU4RecLearner)
    return learner


def network_of(learner: GRU4RecLearner) -> Network:
    assert isinstance(learner.module, Network)
    return learner.module


# ------------------------------------------------------------------------------------------- a step by hand


def slow_loss(parts: dict[str, Tensor], recipe: GRU4Rec, inputs: list[int], targets: list[int], drawn: list[int],
              counts: np.ndarray) -> Tensor:  # fmt: skip
    """The mean loss of sessions that begin, from the formulas, every candidate by itself."""
    items, bias = parts["item_table"][:, :-1], parts["item_table"][:, -1]
    h = items.shape[1]
    gates = items[inputs] @ parts["cells.0.input"] + parts["cells.0.input_bias"]
    kept = parts["cells.0.hidden_bias"]  # of a state of zeros
    reset, update = torch.sigmoid(gates[:, :h] + kept[:h]), torch.sigmoid(gates[:, h : 2 * h] + kept[h : 2 * h])
    state = (1 - update) * torch.tanh(gates[:, 2 * h :] + reset * kept[2 * h :])
    losses = []
    for number, target in enumerate(targets):
        others = [t for place, t in enumerate(targets) if place != number] + drawn
        scores = items @ state[number] + bias
        if recipe.loss == "cross-entropy":
            shares = torch.from_numpy(counts / counts.sum())
            logits = scores - recipe.logq * torch.log(shares)
            up = torch.cat([logits[targets], (scores - recipe.logq * recipe.sample_alpha * torch.log(shares))[drawn]])
            losses.append(torch.logsumexp(up, 0) - logits[target])
        elif recipe.loss == "bpr":
            losses.append(-torch.log(torch.sigmoid(scores[target] - scores[others])).mean())
        else:
            r = torch.nn.functional.elu(scores, recipe.elu)
            share = torch.softmax(r[others], 0)
            won = (share * torch.sigmoid(r[target] - r[others])).sum()
            losses.append(-torch.log(won) + recipe.bpreg * (share * r[others] ** 2).sum())
    return torch.stack(losses).mean()


@pytest.mark.parametrize("loss", ["bpr-max", "bpr", "cross-entropy"])
def test_a_step_on_three_items_by_hand(loss: Any) -> None:
    """Loss, gradients, and the weights after the first two steps of training, against plain formulas in float64."""
    sessions = of_lists(["ab", "bc", "ac", "ba"]).drop_unused_items()  # rows a 0, b 1, c 2; counts 3, 3, 2
    recipe: Any = {"layers": "4", "batch": 2, "n_sample": 5, "loss": loss, "logq": 0.8, "elu": 0.5, **DRY}
    learner = learner_of(sessions, **recipe)
    network = network_of(learner)
    with torch.no_grad():
        network.item_table[:, -1] = torch.tensor([0.3, -0.2, 0.1])
        network.item_table[:, :-1] *= 2
    slow = {name: p.detach().double().requires_grad_() for name, p in network.named_parameters()}
    counts = np.array([3, 3, 2])
    total = {name: torch.zeros_like(p) for name, p in slow.items()}
    velocity = {name: torch.zeros_like(p) for name, p in slow.items()}
    (optimizer,) = learner.optimizers()
    steps = 0
    with torch.sparse.check_sparse_tensor_invariants(False):  # type: ignore[no-untyped-call]
        for batch in learner.batches(1):
            inputs, targets, drawn = batch.each[2].tolist(), batch.shared[0].tolist(), batch.shared[1].tolist()
            assert batch.each[1].all() and len(drawn) == 5
            for p in network.parameters():
                p.grad = None
            fast = network(batch) / 2
            fast.backward()
            want = slow_loss(slow, learner.recipe, inputs, targets, drawn, counts)
            assert float(fast.detach()) == pytest.approx(float(want.detach()), rel=1e-5)
            gradients = torch.autograd.grad(want, list(slow.values()), allow_unused=True)
            named = sorted({*inputs, *targets, *drawn})
            for (name, p), found in zip(slow.items(), gradients, strict=True):
                parameter = network.get_parameter(name)
                g = torch.zeros_like(p) if found is None else found
                there = torch.zeros_like(p) if parameter.grad is None else parameter.grad.to_dense()
                np.testing.assert_allclose(there.numpy(), g.numpy(), rtol=1e-3, atol=1e-6)
                with torch.no_grad():
                    total[name] += g**2
                    rows = named if name == "item_table" else slice(None)
                    step = 0.15 * velocity[name] - 0.05 * g / torch.sqrt(total[name] + 1e-6)
                    velocity[name][rows] = step[rows]
                    p[rows] += step[rows]
            optimizer.step()
            steps += 1
            for name, p in slow.items():
                np.testing.assert_allclose(network.get_parameter(name).detach(), p.detach(), rtol=1e-3, atol=2e-5)
    assert steps == 2


@pytest.mark.parametrize("input", INPUTS)
def test_streams_against_a_loop_over_sessions(input: Any) -> None:
    """What the network puts out at every step is what it puts out for that session alone, from its beginning."""
    sessions = told(clustered_sessions(23), less=2)
    learner = learner_of(sessions, input=input, layers="6,4", batch=5, embedding_dim=3, **DRY)
    network = network_of(learner)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=torch.Generator().manual_seed(1)))
    model = learner.model()
    assert isinstance(model, RecurrentModel)
    met: list[tuple[int, Tensor]] = []
    events = [block[block >= 0].tolist() for block in learner.streams.blocks()]
    for batch in learner.batches(1):
        streams, begins, inputs, _ = batch.each
        x = network.inputs(inputs) if input != "constrained" else network.item_table[inputs, :-1]
        found = network.advance(x, streams, begins).detach()
        met += [(int(i), query) for i, query in zip(inputs, found, strict=True)]
    order = [event for block in events for event in block]  # as steps walk them
    assert [row for row, _ in met] == sessions.items[order].tolist()
    wanted = [e for e in range(len(sessions.items)) if e + 1 not in sessions.offsets[1:]]
    assert sorted(order) == wanted and learner.examples == len(wanted)
    alone = model.encoder(sessions.take(sessions.session_of[order], sessions.place_of[order] + 1))
    np.testing.assert_allclose(torch.stack([q for _, q in met]).numpy(), alone[:, :-1], rtol=1e-4, atol=1e-6)


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("settings", [{}, {"optimizer": "adam", "input": "embedding"}, {"patience": 2}])
def test_resumed_is_uninterrupted(tmp_path: Path, settings: Any) -> None:
    recipe, sessions = GRU4Rec(**{**SMALL, **settings}), clustered_sessions(40)

    def stopping(event: str, **numbers: Any) -> None:
        if event == "epoch":
            raise StoppedError

    with pytest.raises(StoppedError):
        recipe.fit(sessions, seed=3, report=stopping, run=TrainingContext(checkpoint=tmp_path / "c"))
    whole = recipe.fit(sessions, seed=3)
    again = recipe.fit(sessions, seed=3, run=TrainingContext(checkpoint=tmp_path / "c", resume=True))
    for name, array in whole.arrays.items():
        assert array.tobytes() == again.arrays[name].tobytes(), name


# ------------------------------------------------------------------------------------------------- the model


@pytest.mark.parametrize("settings", [
    {}, {"loss": "cross-entropy"}, {"loss": "bpr", "elu": 0.0}, {"input": "embedding", "layers": "16,12"},
    {"input": "onehot", "loss": "cross-entropy", "logq": 1.0}, {"optimizer": "adam", "learning_rate": 0.02},
    {"input": "content"}, {"input": "content-mlp"}, {"regularisation": 1e-4},
])  # fmt: skip
def test_it_learns_which_items_go_together(settings: Any) -> None:
    sessions = told(clustered_sessions(180))
    given = {"layers": "16", "embedding_dropout": 0.1, "hidden_dropout": 0.1, "epochs": 8, "n_sample": 20, "batch": 16,
             "learning_rate": 0.1, **settings}  # fmt: skip
    curve: list[float] = []

    def report(event: str, **numbers: Any) -> None:
        if event == "epoch":
            curve.append(numbers["loss"])

    model = GRU4Rec(**{**SMALL, **given}).fit(sessions, seed=2, report=report)
    groups = np.array([int(str(i)[1:]) // 5 for i in sessions.vocab.ids])
    answer = model.recommend(sessions, 3, exclude_seen=False).rows
    assert (groups[answer] == groups[sessions.items[sessions.offsets[:-1]]][:, None]).mean() > 0.9
    assert curve[-1] < curve[0]


def test_a_live_session_is_answered_like_its_history() -> None:
    sessions = clustered_sessions(60)
    model = GRU4Rec(**SMALL).fit(sessions, seed=0)
    assert isinstance(model, RecurrentModel)
    lists = sessions.take(np.flatnonzero(sessions.lengths >= 3)[:4])
    state = model.start(4)
    for place in range(3):
        state = model.step(state, np.array([lists[s][place] for s in range(4)]))
        found = model.searcher.search(state.queries, 5)
        want = model.recommend(lists.take(np.arange(4), np.full(4, place + 1)), 5, exclude_seen=False)
        assert (found.rows == want.rows).all()
        np.testing.assert_allclose(found.scores, want.scores, rtol=1e-4, atol=1e-5)


def test_the_dial_takes_states_without_their_bias() -> None:
    sessions = clustered_sessions(60)
    model = GRU4Rec(**SMALL).fit(sessions, seed=0)
    assert model.embeddings.dim == 8 and model.answers.dim == 9
    np.testing.assert_array_equal(model.answers.vectors[:, :8], model.embeddings.vectors)
    answer = model.scale_norms(1.0).recommend(sessions, 30, exclude_seen=False)
    want = model.embeddings.vectors @ model.encoder(sessions)[:, :8].T
    np.testing.assert_allclose(answer.scores, -np.sort(-want.T, axis=1), rtol=1e-4, atol=1e-5)


def test_what_items_without_features_say() -> None:
    sessions = told(clustered_sessions(40), less=3)
    for input, layers, width in (("content", "4", 12), ("content", "5", 13), ("content-mlp", "4", 64)):
        network = network_of(learner_of(sessions, input=input, layers=layers))
        arrays = network.arrays()  # thirteen words and numbers: kept as they are where the gates are more
        assert arrays["inputs"].shape == (len(sessions.vocab), width)
        assert not arrays["inputs"][-3:].any() and arrays["inputs"][:-3].any(axis=1).all()
        if "input0" in arrays:
            want = network.inputs(torch.arange(len(sessions.vocab))).detach()
            found = arrays["inputs"] if input == "content-mlp" else arrays["inputs"] @ arrays["input0"]
            np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-6)
    with pytest.raises(DataError, match="these sessions have no item features, which the input needs; prepare"):
        GRU4Rec(**SMALL, input="content").fit(tiny_sessions())


def test_batches_repeat_and_negatives_are_drawn_in_proportion() -> None:
    sessions = of_lists(["aaaabb", "cab"], Vocab(list("abcd"))).reindex(Vocab(list("abcd")))
    learner, again = (learner_of(sessions, sample_alpha=2.0, n_sample=4000) for _ in range(2))
    one, same, other = (list(x.batches(epoch)) for x, epoch in ((learner, 1), (again, 1), (learner, 2)))
    for a, b, c in zip(one, same, other, strict=True):
        assert all(torch.equal(x, y) for x, y in zip((*a.each, *a.shared), (*b.each, *b.shared), strict=True))
        assert torch.equal(a.each[2], c.each[2]) and not torch.equal(a.shared[1], c.shared[1])
    drawn = torch.cat([batch.shared[1] for batch in one]).bincount(minlength=4).double()
    assert (drawn / drawn.sum()).tolist() == pytest.approx([25 / 35, 9 / 35, 1 / 35, 0], abs=0.02)
    assert next(iter(learner_of(sessions, n_sample=0).batches(1))).shared[1].tolist() == []


def test_dropout_keeps_the_mean() -> None:
    torch.manual_seed(0)
    x = torch.ones(500, 401, requires_grad=True)
    for share in (0.3, 0.5):
        found = dropout(x, share)
        assert float((found == 0).float().mean()) == pytest.approx(share, abs=0.01)
        assert float(found.detach().mean()) == pytest.approx(1, abs=0.01) and len(found.unique()) == 2
        (gradient,) = torch.autograd.grad(found.sum(), x)
        assert torch.equal(gradient, found)
    assert dropout(x, 0.0) is x


def test_read_only_sessions_and_a_batch_larger_than_there_are() -> None:
    sessions = tiny_sessions()
    frozen = replace(sessions, times=read_only(np.arange(len(sessions.items))[::-1]))
    model = GRU4Rec(**{**SMALL, "batch": 500}).fit(frozen, seed=0)
    assert len(model.vocab) == 6


@pytest.mark.parametrize(("settings", "message"), [
    ({"layers": ""}, 'a recurrent network needs a layer; set layers as in "256"'),
    ({"layers": "4,x"}, "layers must be whole numbers"),
    ({"loss": "hinge"}, "loss must be one of bpr-max, bpr, cross-entropy, but is 'hinge'"),
    ({"input": "x"}, "input must be one of constrained, embedding, onehot, content, content-mlp, but is 'x'"),
    ({"momentum": 1.0}, "momentum must be between 0 and 0.9999, but is 1.0"),
    ({"embedding_dropout": float("nan")}, "embedding_dropout must be between 0 and 0.99, but is nan"),
    ({"batch": 0}, "batch must be at least 1, but is 0"),
])  # fmt: skip
def test_settings_that_are_not_allowed(settings: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        GRU4Rec(**settings)


def test_nothing_to_learn_from() -> None:
    with pytest.raises(DataError, match=r"no session has two events to learn from \(2 sessions, 2 events\)"):
        GRU4Rec(**SMALL).fit(of_lists(["a", "b"]))


@pytest.mark.parametrize("settings", [{}, {"input": "onehot", "layers": "3,5"}, {"input": "embedding"}])
def test_arrays_that_do_not_fit(settings: Any) -> None:
    model = GRU4Rec(**{**SMALL, **settings}).fit(tiny_sessions(), seed=0)
    for name, array in model.arrays.items():
        for wrong in (array[:-1], array[..., :-1]):
            with pytest.raises(DataError):
                model.recipe.from_arrays(model.vocab, {**model.arrays, name: wrong})
    less = {name: array for name, array in model.arrays.items() if name != "hidden0"}
    with pytest.raises(DataError, match="hidden0 of a gru4rec model must have shape"):
        model.recipe.from_arrays(model.vocab, less)
