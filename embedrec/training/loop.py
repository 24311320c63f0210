"""The training loop of all torch models: steps, validation, early stopping, checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

import numpy as np
import torch

from embedrec.errors import SettingsError, TrainingError
from embedrec.progress import Report
from embedrec.training import checkpoints
from embedrec.training.checkpoints import State, Weights
from embedrec.training.context import TrainingContext
from embedrec.training.devices import seed_torch
from embedrec.training.settings import TrainingSettings
from embedrec.training.shares import total


@dataclass(frozen=True)
class Batch:
    """The examples of one step.

    each    tensors with one row per example, (b, …), which are divided among processes
    shared  tensors that every process gets whole, such as negatives for all examples
    """

    each: tuple[torch.Tensor, ...]
    shared: tuple[torch.Tensor, ...] = ()

    def __len__(self) -> int:
        return len(self.each[0])

    def part(self, number: int, count: int) -> Batch:
        """The examples of process `number` among `count`."""
        start, stop = (len(self) * n // count for n in (number, number + 1))
        return Batch(tuple(tensor[start:stop] for tensor in self.each), self.shared)

    def to(self, device: str) -> Batch:
        """The batch on a device."""
        each, shared = ([t.to(device, non_blocking=True) for t in ts] for ts in (self.each, self.shared))
        return Batch(tuple(each), tuple(shared))


class Learner(Protocol):
    """A module to train, with its optimizers and batches.

    module    its `forward(batch)` returns the *sum* of the losses of the batch's examples, a scalar
    examples  number of examples of an epoch, for progress and schedules
    """

    module: torch.nn.Module
    examples: int

    def optimizers(self) -> Sequence[torch.optim.Optimizer]:
        """Optimizers of the module's parameters, which are on their device. They may support sparse gradients."""
        ...

    def batches(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, from 1, which depend only on the seed and the epoch: equal in every process."""
        ...


Validate = Callable[[], dict[str, float]]


def train(
    learner: Learner,
    settings: TrainingSettings,
    *,
    seed: int,
    context: TrainingContext,
    report: Report,
    identity: Mapping[str, Any],
    validate: Validate | None = None,
    test: Validate | None = None,
) -> None:
    """Train the learner's module in place, up to the weights of the best epoch, or of the last without `validate`.

    seed      dropout in epoch e is seeded by (seed, e); the learner seeds its batches itself
    report    called after each epoch, when its checkpoint is written, as report("epoch", epoch=, epochs=, loss=,
              seconds=, examples_per_second=, and the metrics of `validate`), with the mean loss of an example during
              the epoch; about ten times a second as report("progress", done=, total=, unit="examples") of all epochs;
              as report("resumed", epoch=, epochs=) before the epochs of a checkpoint are reported again; at the end
              as report("best", epoch=, and its metrics)
    identity  what the checkpoint and this training must have in common
    validate  returns metrics of the current module, by name, higher is better; required by `settings.patience`
    test      the same on a test part, in the first process: "test_NAME" of an epoch's record, never used to choose one

    Raises TrainingError, with the step, when the loss is not finite; SettingsError when a precision needs a GPU or a
    checkpoint belongs to another training.
    """
    if settings.precision != "float32" and not context.device.startswith("cuda"):
        raise SettingsError(f"precision={settings.precision} needs a GPU, not {context.device}; set precision=float32")
    module = learner.module.to(context.device)
    if context.processes is not None:
        for parameter in module.parameters():
            context.processes.broadcast(parameter.data)
    optimizers = list(learner.optimizers())
    steps = _StepRunner(learner, settings, context, optimizers, report)
    epochs, best, best_epoch = [], None, 0
    if context.resume and context.checkpoint is not None:
        metric = None if validate is None else settings.watch
        state = checkpoints.read(
            context.checkpoint, identity, _weights(module), optimizers, max_epochs=settings.epochs, metric=metric
        )
        _load(state, module, optimizers, steps.scaler)
        epochs, best, best_epoch = list(state.epochs), state.best, state.best_epoch
        report("resumed", epoch=len(epochs), epochs=settings.epochs)
        for entry in epochs:
            report("epoch", **entry)
    while len(epochs) < settings.epochs and not _is_stale(settings, len(epochs), best_epoch):
        epoch = len(epochs) + 1
        started = perf_counter()
        rank = 0 if context.processes is None else context.processes.rank
        # torch's optimizers create sparse tensors, with a warning unless checks are explicitly on or off
        with seed_torch(context.device, seed, epoch, rank), _no_sparse_checks():
            module.train()
            loss, examples = steps.epoch(epoch)
        seconds = perf_counter() - started
        measured = {} if validate is None else _validate(validate, module, settings, context)
        if test is not None and context.first:
            module.eval()
            measured |= {f"test_{name}": value for name, value in test().items()}
        record = {"epoch": epoch, "epochs": settings.epochs, "loss": loss, "seconds": round(seconds, 4)}
        epochs.append({**record, "examples_per_second": round(examples / seconds), **measured})
        if validate is not None and (best is None or measured[settings.watch] > epochs[best_epoch - 1][settings.watch]):
            best, best_epoch = _weights(module), epoch
        if context.first and context.checkpoint is not None:
            states = [optimizer.state_dict()["state"] for optimizer in optimizers]
            state = State(_weights(module), states, steps.scaler.state_dict(), epochs, best, best_epoch)
            checkpoints.write(context.checkpoint, state, identity)
        report("epoch", **epochs[-1])
    if best is not None:
        module.load_state_dict(best)
        report("best", epoch=best_epoch, **{key: epochs[best_epoch - 1][key] for key in metric_names(epochs[0])})
    module.eval()


def metric_names(record: Mapping[str, Any]) -> list[str]:
    """The names of the metrics in the report of an epoch."""
    return [key for key in record if "@" in key]


def _is_stale(settings: TrainingSettings, done: int, best_epoch: int) -> bool:
    return settings.patience is not None and best_epoch > 0 and done - best_epoch >= settings.patience


def _validate(
    validate: Validate, module: torch.nn.Module, settings: TrainingSettings, context: TrainingContext
) -> dict[str, float]:
    """The metrics, measured by the first process and sent to the others."""
    module.eval()
    if context.processes is None:
        return validate()
    names = ("recall@20", "mrr@20")
    measured = validate() if context.processes.rank == 0 else dict.fromkeys(names, 0.0)
    numbers = torch.tensor([measured[name] for name in names], dtype=torch.float64, device=context.device)
    return dict(zip(names, context.processes.broadcast(numbers).tolist(), strict=True))


def _weights(module: torch.nn.Module) -> Weights:
    return {name: tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()}


def _load(
    state: State, module: torch.nn.Module, optimizers: list[torch.optim.Optimizer], scaler: torch.amp.GradScaler
) -> None:
    module.load_state_dict(state.weights)
    for optimizer, values in zip(optimizers, state.optimizers, strict=True):
        optimizer.load_state_dict({**optimizer.state_dict(), "state": values})
    if state.scaler:
        scaler.load_state_dict(state.scaler)


def _no_sparse_checks() -> AbstractContextManager[Any]:
    return torch.sparse.check_sparse_tensor_invariants(False)  # type: ignore[no-untyped-call]


class _StepRunner:
    """Runs the steps of epochs."""

    def __init__(
        self,
        learner: Learner,
        settings: TrainingSettings,
        context: TrainingContext,
        optimizers: list[torch.optim.Optimizer],
        report: Report,
    ) -> None:
        self.learner, self.settings, self.context, self.report = learner, settings, context, report
        self.optimizers = optimizers
        self.rates = [group["lr"] for group in self._groups()]
        self.parameters = [p for group in self._groups() for p in group["params"]]
        examples = np.array([learner.examples])
        self.examples = int((examples if context.memory is None else total(examples, context))[0])  # of all processes
        self.scaler = torch.amp.GradScaler(context.device.partition(":")[0], enabled=settings.precision == "float16")

    def _groups(self) -> list[dict[str, Any]]:
        """The current parameter groups; loading a checkpoint replaces them."""
        return [group for optimizer in self.optimizers for group in optimizer.param_groups]

    def epoch(self, epoch: int) -> tuple[float, int]:
        """Run all steps of an epoch; returns the mean loss of an example and the number of examples."""
        every = self.examples
        before, whole = (epoch - 1) * every, self.settings.epochs * every
        done, loss, reported = 0, 0.0, perf_counter()
        pending: list[torch.Tensor] = []  # losses that were not read yet: reading waits for the device
        step = 0
        for step, (batch, size) in enumerate(self._parts(epoch), 1):
            share = (epoch - 1 + min(done / every, 1)) / self.settings.epochs
            pending.append(self._step(batch, size, share))
            done += size
            if perf_counter() - reported >= _REPORT_SECONDS:
                loss += self._sum_losses(pending, epoch, step)
                self.report("progress", done=before + min(done, every), total=whole, unit="examples")
                reported = perf_counter()
        loss += self._sum_losses(pending, epoch, step)
        self._check_weights(epoch, step)
        self.report("progress", done=before + every, total=whole, unit="examples")
        return loss / max(done, 1), done

    def _parts(self, epoch: int) -> Iterator[tuple[Batch | None, int]]:
        """What this process computes of each step, and the examples of the step in all processes.

        A process that trains on its share may have no batch left in the last steps.
        """
        processes, batches = self.context.processes, self.learner.batches(epoch)
        if processes is None:
            yield from ((batch, len(batch)) for batch in batches)
        elif self.context.memory is None:
            yield from ((batch.part(processes.rank, processes.count), len(batch)) for batch in batches)
        else:
            while True:
                batch = next(batches, None)
                own = torch.tensor(0 if batch is None else len(batch), device=self.context.device)
                if not (size := int(processes.sum(own))):
                    return
                yield batch, size

    def _step(self, batch: Batch | None, size: int, share: float) -> torch.Tensor:
        """One step of `size` examples in all processes, of which this one computes a batch; the sum of all losses."""
        for group, rate in zip(self._groups(), self.rates, strict=True):
            group["lr"] = rate * self.settings.rate(share)
        processes = self.context.processes
        for parameter in self.parameters:
            parameter.grad = None
        loss = torch.zeros((), device=self.context.device)
        if batch is not None and len(batch):
            with self._precision():
                loss = self.learner.module(batch.to(self.context.device))
            self.scaler.scale(loss / size).backward()
        loss = loss.detach().float()
        if processes is not None:
            processes.sum_gradients(self.parameters)
            loss = processes.sum(loss)
        for optimizer in self.optimizers:
            self.scaler.unscale_(optimizer)
        if self.settings.clip is not None:
            clip(self.parameters, self.settings.clip)
        for optimizer in self.optimizers:
            self.scaler.step(optimizer)
        self.scaler.update()
        return loss

    def _precision(self) -> Any:
        if self.settings.precision == "float32":
            return nullcontext()
        return torch.autocast("cuda", dtype=getattr(torch, self.settings.precision))

    def _sum_losses(self, pending: list[torch.Tensor], epoch: int, step: int) -> float:
        """The sum of the losses of the last steps up to `step`; empties the list."""
        if not pending:
            return 0.0
        losses = torch.stack(pending).double().cpu()
        first = step - len(pending)
        pending.clear()
        bad = torch.nonzero(~torch.isfinite(losses))
        if len(bad):
            raise _divergence(float(losses[int(bad[0])]), epoch, first + int(bad[0]) + 1)
        return float(losses.sum())

    def _check_weights(self, epoch: int, step: int) -> None:
        """Raises TrainingError for weights that are not finite, which the loss of the last step may not show."""
        if not all(bool(torch.isfinite(p).all()) for p in self.parameters):
            raise _divergence(float("nan"), epoch, step)


def clip(parameters: Sequence[torch.nn.Parameter], max_norm: float) -> None:
    """Scale the joint gradient of all parameters, sparse ones included, down to the norm `max_norm` if it is larger."""
    for p in parameters:
        if p.grad is not None and p.grad.is_sparse:
            p.grad = p.grad.coalesce()
    values = [p.grad.values() if p.grad.is_sparse else p.grad for p in parameters if p.grad is not None]
    if not values:
        return
    norm = torch.stack([torch.linalg.vector_norm(v.float()) for v in values]).norm()
    factor = (max_norm / (norm + 1e-6)).clamp(max=1.0)
    for v in values:
        v.mul_(factor)


def _divergence(loss: float, epoch: int, step: int) -> TrainingError:
    return TrainingError(
        f"training diverged: the loss is {loss} at step {step} of epoch {epoch}; lower the learning rate, or set clip"
    )


_REPORT_SECONDS = 0.1  # between two reports of progress
