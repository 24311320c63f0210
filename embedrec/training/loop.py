"""The training loop that every model with torch goes through: steps, validation, early stop, checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

import torch

from embedrec.errors import SettingsError, TrainingError
from embedrec.progress import Report
from embedrec.training import checkpoints
from embedrec.training.checkpoints import State, Weights
from embedrec.training.context import TrainingContext
from embedrec.training.devices import seeded
from embedrec.training.settings import TrainingSettings


@dataclass(frozen=True)
class Batch:
    """The examples of one step.

    each    tensors of one row an example, (b, …): processes share them out
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
        """The same on a device."""
        each, shared = ([t.to(device, non_blocking=True) for t in ts] for ts in (self.each, self.shared))
        return Batch(tuple(each), tuple(shared))


class Learner(Protocol):
    """What is trained.

    module    its `forward(batch)` gives the *sum* of the losses of the batch's examples, a scalar
    examples  how many there are in an epoch, for progress and schedules
    """

    module: torch.nn.Module
    examples: int

    def optimizers(self) -> Sequence[torch.optim.Optimizer]:
        """Optimisers of the module's parameters, made after these are on their device. Sparse gradients are welcome."""
        ...

    def batches(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, from 1: always the same for the same seed and epoch, and in every process."""
        ...


Judge = Callable[[], dict[str, float]]


def train(
    learner: Learner,
    plan: TrainingSettings,
    *,
    seed: int,
    run: TrainingContext,
    report: Report,
    identity: Mapping[str, Any],
    judge: Judge | None = None,
) -> None:
    """Train the learner's module in place; it ends with the weights of the best epoch, or without `judge` the last.

    seed      dropout in epoch e comes from (seed, e); the learner's batches come from its own
    report    called as report("epoch", epoch=, epochs=, loss=, seconds=, examples_per_second=, and what `judge` says)
              with the mean loss of an example as it was met, when the epoch is in the checkpoint; about ten times a
              second as report("progress", done=, total=, unit="examples") of all epochs; report("resumed", epoch=,
              epochs=) before the epochs of a checkpoint are told again; at the end report("best", epoch=, and what
              `judge` said of it)
    identity  what a checkpoint must share with this training
    judge     metrics of the module as it is, by name, higher is better; needed where `plan.patience` is

    Raises TrainingError, which names the step, when the loss is not finite; SettingsError when a precision needs a GPU
    or a checkpoint does not fit.
    """
    if plan.precision != "float32" and not run.device.startswith("cuda"):
        raise SettingsError(f"precision={plan.precision} needs a GPU, but the device is {run.device}; set float32")
    module = learner.module.to(run.device)
    optimizers = list(learner.optimizers())
    steps = _Steps(learner, plan, run, optimizers, report)
    epochs, best, best_epoch = [], None, 0
    if run.resume and run.checkpoint is not None:
        watched = None if judge is None else plan.watch
        state = checkpoints.read(
            run.checkpoint, identity, _weights(module), optimizers, most=plan.epochs, watched=watched
        )
        _load(state, module, optimizers, steps.scaler)
        epochs, best, best_epoch = list(state.epochs), state.best, state.best_epoch
        report("resumed", epoch=len(epochs), epochs=plan.epochs)
        for entry in epochs:
            report("epoch", **entry)
    while len(epochs) < plan.epochs and not _stale(plan, len(epochs), best_epoch):
        epoch = len(epochs) + 1
        started = perf_counter()
        place = 0 if run.processes is None else run.processes.rank
        # torch's own optimisers make sparse tensors, and warn where nobody said whether these are to be checked
        with seeded(run.device, seed, epoch, place), _unchecked():
            module.train()
            loss, examples = steps.epoch(epoch)
        seconds = perf_counter() - started
        measured = {} if judge is None else _judged(judge, module, plan, run)
        record = {"epoch": epoch, "epochs": plan.epochs, "loss": loss, "seconds": round(seconds, 4)}
        epochs.append({**record, "examples_per_second": round(examples / seconds), **measured})
        if judge is not None and (best is None or measured[plan.watch] > epochs[best_epoch - 1][plan.watch]):
            best, best_epoch = _weights(module), epoch
        if run.first and run.checkpoint is not None:
            states = [optimizer.state_dict()["state"] for optimizer in optimizers]
            state = State(_weights(module), states, steps.scaler.state_dict(), epochs, best, best_epoch)
            checkpoints.write(run.checkpoint, state, identity)
        report("epoch", **epochs[-1])
    if best is not None:
        module.load_state_dict(best)
        report("best", epoch=best_epoch, **{key: epochs[best_epoch - 1][key] for key in measured_of(epochs[0])})
    module.eval()


def measured_of(record: Mapping[str, Any]) -> list[str]:
    """The names of the metrics among what was reported of an epoch."""
    return [key for key in record if "@" in key]


def _stale(plan: TrainingSettings, done: int, best_epoch: int) -> bool:
    return plan.patience is not None and best_epoch > 0 and done - best_epoch >= plan.patience


def _judged(judge: Judge, module: torch.nn.Module, plan: TrainingSettings, run: TrainingContext) -> dict[str, float]:
    """What the first process measures; the others hear of it."""
    module.eval()
    if run.processes is None:
        return judge()
    names = ("recall@20", "mrr@20")
    measured = judge() if run.processes.rank == 0 else dict.fromkeys(names, 0.0)
    numbers = torch.tensor([measured[name] for name in names], dtype=torch.float64, device=run.device)
    return dict(zip(names, run.processes.from_first(numbers).tolist(), strict=True))


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


def _unchecked() -> AbstractContextManager[Any]:
    return torch.sparse.check_sparse_tensor_invariants(False)  # type: ignore[no-untyped-call]


class _Steps:
    """The steps of an epoch, and what they share."""

    def __init__(
        self,
        learner: Learner,
        plan: TrainingSettings,
        run: TrainingContext,
        optimizers: list[torch.optim.Optimizer],
        report: Report,
    ) -> None:
        self.learner, self.plan, self.run, self.report = learner, plan, run, report
        self.optimizers = optimizers
        self.rates = [group["lr"] for group in self._groups()]
        self.parameters = [p for group in self._groups() for p in group["params"]]
        self.scaler = torch.amp.GradScaler(run.device.partition(":")[0], enabled=plan.precision == "float16")

    def _groups(self) -> list[dict[str, Any]]:
        """Groups of parameters; loading a checkpoint makes new ones."""
        return [group for optimizer in self.optimizers for group in optimizer.param_groups]

    def epoch(self, epoch: int) -> tuple[float, int]:
        """Take every step of an epoch: the mean loss of an example, and how many there were."""
        total = self.learner.examples
        before, whole = (epoch - 1) * total, self.plan.epochs * total
        done, loss, reported = 0, 0.0, perf_counter()
        waiting: list[torch.Tensor] = []  # losses of steps that nobody has looked at: a look waits for the device
        step = 0
        for step, batch in enumerate(self.learner.batches(epoch), 1):
            share = (epoch - 1 + min(done / total, 1)) / self.plan.epochs
            waiting.append(self._step(batch, share))
            done += len(batch)
            if perf_counter() - reported >= _TELL:
                loss += self._looked_at(waiting, epoch, step)
                self.report("progress", done=before + min(done, total), total=whole, unit="examples")
                reported = perf_counter()
        loss += self._looked_at(waiting, epoch, step)
        self._check_weights(epoch, step)
        self.report("progress", done=before + total, total=whole, unit="examples")
        return loss / max(done, 1), done

    def _step(self, batch: Batch, share: float) -> torch.Tensor:
        """One step over the whole batch, of which this process takes its part; the sum of its losses."""
        for group, rate in zip(self._groups(), self.rates, strict=True):
            group["lr"] = rate * self.plan.rate(share)
        size, processes = len(batch), self.run.processes
        if processes is not None:
            batch = batch.part(processes.rank, processes.count)
        for parameter in self.parameters:
            parameter.grad = None
        loss = torch.zeros((), device=self.run.device)
        if len(batch):
            with self._precision():
                loss = self.learner.module(batch.to(self.run.device))
            self.scaler.scale(loss / size).backward()
        loss = loss.detach().float()
        if processes is not None:
            processes.sum_gradients(self.parameters)
            loss = processes.summed(loss)
        for optimizer in self.optimizers:
            self.scaler.unscale_(optimizer)
        if self.plan.clip is not None:
            clip(self.parameters, self.plan.clip)
        for optimizer in self.optimizers:
            self.scaler.step(optimizer)
        self.scaler.update()
        return loss

    def _precision(self) -> Any:
        if self.plan.precision == "float32":
            return nullcontext()
        return torch.autocast("cuda", dtype=getattr(torch, self.plan.precision))

    def _looked_at(self, waiting: list[torch.Tensor], epoch: int, step: int) -> float:
        """The sum of the losses of the last steps, which ends with `step`; forgets them."""
        if not waiting:
            return 0.0
        losses = torch.stack(waiting).double().cpu()
        first = step - len(waiting)
        waiting.clear()
        bad = torch.nonzero(~torch.isfinite(losses))
        if len(bad):
            raise _diverged(float(losses[int(bad[0])]), epoch, first + int(bad[0]) + 1)
        return float(losses.sum())

    def _check_weights(self, epoch: int, step: int) -> None:
        """The last step's loss may be finite and its gradient not."""
        if not all(bool(torch.isfinite(p).all()) for p in self.parameters):
            raise _diverged(float("nan"), epoch, step)


def clip(parameters: Sequence[torch.nn.Parameter], longest: float) -> None:
    """Shorten the gradient of all parameters together to a norm of `longest` where it is longer; also sparse ones."""
    for p in parameters:
        if p.grad is not None and p.grad.is_sparse:
            p.grad = p.grad.coalesce()
    values = [p.grad.values() if p.grad.is_sparse else p.grad for p in parameters if p.grad is not None]
    if not values:
        return
    norm = torch.stack([torch.linalg.vector_norm(v.float()) for v in values]).norm()
    factor = (longest / (norm + 1e-6)).clamp(max=1.0)
    for v in values:
        v.mul_(factor)


def _diverged(loss: float, epoch: int, step: int) -> TrainingError:
    return TrainingError(
        f"training diverged: the loss is {loss} at step {step} of epoch {epoch}; lower the learning rate, or set clip"
    )


_TELL = 0.1  # seconds between two reports of progress
