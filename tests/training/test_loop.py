"""The loop: what it tells, when it stops, what it keeps, and how it ends when numbers do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from embedrec.errors import SettingsError, TrainingError
from embedrec.progress import quiet
from embedrec.training.context import DEFAULT_CONTEXT, TrainingContext
from embedrec.training.loop import Batch, clip, train
from embedrec.training.settings import TrainingSettings
from tests.training.toy import POINTS, LineLearner

Reports = list[tuple[str, dict[str, Any]]]


def run_line(learner: LineLearner, plan: TrainingSettings, **more: Any) -> Reports:
    reports: Reports = []
    given: dict[str, Any] = {"seed": 3, "context": DEFAULT_CONTEXT, "identity": {}, **more}
    train(learner, plan, report=lambda event, **n: reports.append((event, n)), **given)
    return reports


def epochs_of(reports: Reports) -> list[dict[str, Any]]:
    return [numbers for event, numbers in reports if event == "epoch"]


def test_steps_equal_a_slow_loop() -> None:
    """The same steps by hand: mean loss of a batch, both optimisers, a gradient that is dense."""
    learner, twin = LineLearner(), LineLearner()
    reports = run_line(learner, TrainingSettings(epochs=3, patience=None))
    table, shift = (torch.zeros(6, 2, requires_grad=True), torch.zeros((), requires_grad=True))
    optimizers = [torch.optim.Adagrad([table], 0.05), torch.optim.AdamW([shift], 0.05)]
    for epoch in range(1, 4):
        total = 0.0
        for batch in twin.batches(epoch):
            rows, x, y = batch.each
            loss = (((table[rows] * x).sum(1) + shift - y) ** 2).mean()
            total += float(loss.detach()) * len(batch)
            for optimizer in optimizers:
                optimizer.zero_grad()
            loss.backward()
            for optimizer in optimizers:
                optimizer.step()
        assert epochs_of(reports)[epoch - 1]["loss"] == pytest.approx(total / POINTS, rel=1e-5)
    for name, tensor in (("table", table), ("shift", shift)):
        result = learner.module.state_dict()[name].numpy()
        np.testing.assert_allclose(result, tensor.detach().numpy(), rtol=1e-4, atol=1e-6)


def test_reports_contain_losses_and_progress() -> None:
    reports = run_line(LineLearner(), TrainingSettings(epochs=2, patience=None))
    at = [place for place, (event, _) in enumerate(reports) if event == "epoch"]
    for epoch, place in enumerate(at, 1):  # more often where the machine is busy
        assert reports[place - 1] == ("progress", {"done": epoch * POINTS, "total": 2 * POINTS, "unit": "examples"})
    assert {event for event, _ in reports} == {"progress", "epoch"} and at[-1] == len(reports) - 1
    epochs = epochs_of(reports)
    assert list(epochs[0]) == ["epoch", "epochs", "loss", "seconds", "examples_per_second"]
    assert [e["epoch"] for e in epochs] == [1, 2] and epochs[1]["loss"] < epochs[0]["loss"]


def judge_of(values: list[float]) -> Any:
    result: Iterator[float] = iter(values)
    return lambda: {"recall@20": next(result), "mrr@20": 0.5}


def test_early_stopping_keeps_the_best_weights() -> None:
    learner, twin = LineLearner(), LineLearner()
    reports = run_line(learner, TrainingSettings(epochs=9, patience=2), validate=judge_of([0.1, 0.3, 0.3, 0.2, 0.9]))
    assert [e["recall@20"] for e in epochs_of(reports)] == [0.1, 0.3, 0.3, 0.2]
    assert reports[-1] == ("best", {"epoch": 2, "recall@20": 0.3, "mrr@20": 0.5})
    run_line(twin, TrainingSettings(epochs=2, patience=None))
    assert learner.bytes() == twin.bytes()
    assert not learner.module.training


def test_the_last_epoch_may_be_best_by_another_metric() -> None:
    learner, twin = LineLearner(), LineLearner()
    reports = run_line(learner, TrainingSettings(epochs=3, patience=1), validate=judge_of([0.1, 0.2, 0.3]))
    assert len(epochs_of(reports)) == 3
    run_line(twin, TrainingSettings(epochs=3, patience=None))
    assert learner.bytes() == twin.bytes()
    assert (
        len(
            epochs_of(
                run_line(LineLearner(), TrainingSettings(patience=2, watch="mrr@20"), validate=judge_of([0.1] * 9))
            )
        )
        == 3
    )


def test_dropout_depends_on_the_seed_and_restores_the_state_of_torch() -> None:
    def trained(seed: int) -> list[bytes]:
        learner = LineLearner(dropout=0.5)
        run_line(learner, TrainingSettings(epochs=2, patience=None), seed=seed)
        return learner.bytes()

    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one = trained(1)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(5)
    assert trained(1) == one != trained(2)


class Broken(LineLearner):
    """One point of the third batch of the second epoch is not a number, or infinite."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def batches(self, epoch: int) -> Iterator[Batch]:
        for number, batch in enumerate(super().batches(epoch), 1):
            y = batch.each[2].clone()
            if (epoch, number) == (2, 3):
                y[0] = self.value
            yield Batch((*batch.each[:2], y))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_a_loss_that_is_not_finite_names_the_step(value: float) -> None:
    message = r"training diverged: the loss is (nan|inf) at step 3 of epoch 2; lower the learning rate, or set clip"
    with pytest.raises(TrainingError, match=message):
        run_line(Broken(value), TrainingSettings(epochs=3, patience=None))


def test_weights_that_are_not_finite_after_the_last_step_are_an_error() -> None:
    class Overflowing(LineLearner):
        def batches(self, epoch: int) -> Iterator[Batch]:
            rows, x, y = next(super().batches(epoch)).each
            yield Batch((rows, x * 1e25, y * 0))  # at first the loss is 0, with the shift of the second step 1e30 …
            yield Batch((rows, x * 0 + 1e25, y * 0 + 1e18))

    with pytest.raises(TrainingError, match=r"the loss is nan at step 2 of epoch 1"):
        run_line(Overflowing(rate=1e30), TrainingSettings(epochs=1, patience=None))


def test_clipping_uses_the_norm_of_sparse_and_dense_gradients() -> None:
    table, shift = torch.nn.Parameter(torch.zeros(3, 2)), torch.nn.Parameter(torch.zeros(2))
    rows = torch.tensor([[1, 1]])  # twice the same row: its gradient is the sum
    table.grad = torch.sparse_coo_tensor(rows, torch.tensor([[1.0, 0.0], [2.0, 0.0]]), (3, 2), check_invariants=True)
    shift.grad = torch.tensor([0.0, 4.0])
    clip([table, shift], 10.0)
    assert table.grad.to_dense().tolist() == [[0, 0], [3, 0], [0, 0]]
    clip([table, shift], 1.0)
    np.testing.assert_allclose(table.grad.to_dense(), [[0, 0], [0.6, 0], [0, 0]], rtol=1e-5)
    np.testing.assert_allclose(shift.grad, [0, 0.8], rtol=1e-5)
    clip([torch.nn.Parameter(torch.zeros(1))], 1.0)  # nothing to shorten
    learner = LineLearner()
    run_line(learner, TrainingSettings(epochs=1, patience=None, clip=1e-9))
    reports = run_line(LineLearner(), TrainingSettings(epochs=1, patience=None, clip=0.1))
    assert epochs_of(reports)[0]["loss"] > 0


def test_mixed_precision_needs_a_gpu() -> None:
    with pytest.raises(SettingsError, match="precision=bfloat16 needs a GPU, not cpu; set precision=float32"):
        run_line(LineLearner(), TrainingSettings(precision="bfloat16"))


def test_schedules_change_the_steps() -> None:
    learner = LineLearner()
    run_line(learner, TrainingSettings(epochs=2, patience=None, schedule="linear"))
    constant = LineLearner()
    run_line(constant, TrainingSettings(epochs=2, patience=None))
    assert learner.bytes() != constant.bytes()


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_training_runs_on_a_gpu(precision: Any) -> None:
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU that torch can use")
    on_gpu, on_cpu = LineLearner(), LineLearner()
    reports = run_line(
        on_gpu, TrainingSettings(epochs=3, patience=None, precision=precision), context=TrainingContext("cuda")
    )
    want = run_line(on_cpu, TrainingSettings(epochs=3, patience=None))
    for one, other in zip(epochs_of(reports), epochs_of(want), strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-5 if precision == "float32" else 0.05)


def test_a_batch_is_divided_among_processes() -> None:
    batch = Batch((torch.arange(7), torch.arange(14).view(7, 2)), (torch.arange(3),))
    parts = [batch.part(number, 3) for number in range(3)]
    assert [len(part) for part in parts] == [2, 2, 3]
    assert torch.cat([part.each[0] for part in parts]).tolist() == list(range(7))
    assert torch.equal(torch.cat([part.each[1] for part in parts]), batch.each[1])
    assert all(torch.equal(part.shared[0], batch.shared[0]) for part in parts)


def test_training_without_a_checkpoint() -> None:
    train(
        LineLearner(),
        TrainingSettings(epochs=1, patience=None),
        seed=0,
        context=DEFAULT_CONTEXT,
        report=quiet,
        identity={},
    )
