"""Data-parallel training: several processes train one model, each on its part of every batch.

`torchrun` starts the processes and sets their rank in environment variables. Every process generates the same batches,
computes the gradients of its part of the examples, and sums them with those of the others, so that all take the same
step. Only the first process validates, reports and writes. Li et al. 2020 (PyTorch Distributed).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist

from embedrec.errors import SettingsError

_NONE, _DENSE, _SPARSE = 0, 1, 2


@dataclass(frozen=True)
class Processes:
    """The processes of a training.

    rank   number of this process, from 0
    count  number of processes
    """

    rank: int
    count: int

    def sum(self, value: torch.Tensor) -> torch.Tensor:
        """The sum of a tensor over all processes."""
        dist.all_reduce(value)
        return value

    def broadcast(self, numbers: torch.Tensor) -> torch.Tensor:
        """The tensor of the first process; it must have the same shape in all processes."""
        dist.broadcast(numbers, 0)
        return numbers

    def sum_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replace every gradient by its sum over all processes; sparse gradients stay sparse."""
        parameters = list(parameters)
        kinds = torch.tensor([_kind(p.grad) for p in parameters], device=parameters[0].device)
        dist.all_reduce(kinds, dist.ReduceOp.MAX)  # a process without examples has no gradients
        kind = dict(zip(parameters, kinds.tolist(), strict=True))
        dense = [p for p in parameters if kind[p] == _DENSE]
        if dense:
            flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1) for p in dense])
            dist.all_reduce(flat)
            for p, part in zip(dense, torch.split_with_sizes(flat, [p.numel() for p in dense]), strict=True):
                p.grad = part.view_as(p).clone()
        for p in parameters:
            if kind[p] == _SPARSE:
                p.grad = self._sum_rows(p)

    def _sum_rows(self, p: torch.nn.Parameter) -> torch.Tensor:
        """The sum of a sparse gradient over all processes, from their concatenated indices and values."""
        width = p.shape[1:]
        if p.grad is None:
            rows, values = torch.zeros(0, dtype=torch.int64, device=p.device), p.new_zeros((0, *width))
        else:
            gradient = p.grad.coalesce()
            rows, values = gradient.indices()[0], gradient.values()
        sizes = [torch.zeros(1, dtype=torch.int64, device=p.device) for _ in range(self.count)]
        dist.all_gather(sizes, torch.tensor([len(rows)], device=p.device))
        longest = max(int(size) for size in sizes)
        all_rows = [rows.new_zeros(longest) for _ in sizes]
        all_values = [values.new_zeros((longest, *width)) for _ in sizes]
        dist.all_gather(all_rows, _pad(rows, longest))
        dist.all_gather(all_values, _pad(values, longest))
        joint = torch.cat([r[: int(size)] for r, size in zip(all_rows, sizes, strict=True)])
        joint_values = torch.cat([v[: int(size)] for v, size in zip(all_values, sizes, strict=True)])
        return torch.sparse_coo_tensor(joint[None], joint_values, p.shape, check_invariants=False).coalesce()


def _kind(gradient: torch.Tensor | None) -> int:
    return _NONE if gradient is None else _SPARSE if gradient.is_sparse else _DENSE


def _pad(values: torch.Tensor, length: int) -> torch.Tensor:
    return torch.cat([values, values.new_zeros((length - len(values), *values.shape[1:]))])


@contextmanager
def join_processes(device: str, environment: Mapping[str, str] = os.environ) -> Iterator[Processes]:
    """Join the processes that torchrun started, during a block; see `context.torchrun_rank`.

    device  of this process: GPUs communicate through NCCL, CPUs through Gloo

    Raises SettingsError when environment variables are missing or the other processes do not respond.
    """
    try:
        rank, count = (int(environment[name]) for name in ("RANK", "WORLD_SIZE"))
        if device.startswith("cuda"):
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo", rank=rank, world_size=count)
    except (KeyError, ValueError, RuntimeError) as e:
        raise SettingsError(f"the processes of this training could not connect ({e}); start them with torchrun") from e
    try:
        yield Processes(rank, count)
    finally:
        dist.destroy_process_group()
