"""Devices, threads and seeds of torch."""

from __future__ import annotations

import pytest
import torch

from embedrec.errors import SettingsError
from embedrec.training.devices import generator, resolve_device, seed_torch, use_threads


def test_devices_are_resolved_or_refused() -> None:
    assert resolve_device("cpu") == "cpu"
    if torch.cuda.is_available():
        assert resolve_device("auto").startswith("cuda") and resolve_device("cuda").startswith("cuda")
        with pytest.raises(SettingsError, match="GPUs, too few for process 1000; start fewer processes"):
            resolve_device("cuda", local_rank=999)
    else:
        assert resolve_device("auto") == "cpu"
        with pytest.raises(SettingsError, match=r"sees no GPU; use --device cpu or install a CUDA build of torch"):
            resolve_device("cuda")
    with pytest.raises(SettingsError, match="device must be cpu, cuda or auto, but is 'tpu'"):
        resolve_device("tpu")


def test_the_number_of_threads_is_restored() -> None:
    before = torch.get_num_threads()
    with pytest.raises(KeyError), use_threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise KeyError
    assert torch.get_num_threads() == before
    with pytest.raises(SettingsError, match="threads must be at least 1, but is 0"), use_threads(0):
        pass


def test_seeds_are_reproducible_and_the_state_is_restored() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    with seed_torch("cpu", 4, 5):
        drawn = torch.rand(3)
    assert torch.equal(torch.random.get_rng_state(), before)
    with seed_torch("cpu", 4, 5):
        assert torch.equal(torch.rand(3), drawn)
    assert torch.equal(torch.rand(3, generator=generator(4, 5)), drawn)
    assert not torch.equal(torch.rand(3, generator=generator(4, 6)), drawn)
