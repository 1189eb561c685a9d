"""`Processes`: one or several processes of `torchrun` that train one model together, on one machine or more."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed.nn  # before there is a group, which defaults of its functions would keep: see join_processes
from torch import distributed

from mammosynth.errors import DataError

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Processes:
    """Who else trains. Every method must be called by all of them, and fails in all if one is gone.

    Attributes:
        rank: Number of this process; the first one, 0, writes.
        size: How many there are.
        device: Where this process computes.
    """

    rank: int
    size: int
    device: str

    def average(self, tensors: Iterable[torch.Tensor]) -> None:
        """Replace every tensor by its mean over the processes."""
        together = list(tensors)
        if self.size == 1 or not together:
            return
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in together])
        with _all_there():
            distributed.all_reduce(flat)
        parts = (flat / self.size).split([tensor.numel() for tensor in together])
        with torch.no_grad():
            for tensor, part in zip(together, parts, strict=True):
                tensor.copy_(part.view_as(tensor))

    def mean(self, values: Mapping[str, float]) -> dict[str, float]:
        """The mean of every number over the processes, which all have the same names."""
        means = torch.tensor(list(values.values()), dtype=torch.float32, device=self.device)
        self.average([means])
        return dict(zip(values, means.tolist(), strict=True)) if self.size > 1 else dict(values)

    def spread(self, tensors: Iterable[torch.Tensor]) -> None:
        """Replace every tensor by that of the first process."""
        if self.size > 1:
            with _all_there(), torch.no_grad():
                for tensor in tensors:
                    distributed.broadcast(tensor, 0)

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        if self.size == 1:
            return flag
        flags = torch.tensor(float(flag), device=self.device)
        with _all_there():
            distributed.all_reduce(flags, distributed.ReduceOp.MAX)
        return bool(flags)

    def wait(self) -> None:
        """Until all are here."""
        if self.size > 1:
            with _all_there():
                distributed.barrier()

    def from_first(self, value: _Value) -> _Value:
        """What the first process gave; tensors in it must be on the CPU."""
        if self.size == 1:
            return value
        box = [value]
        with _all_there():
            distributed.broadcast_object_list(box, device=torch.device(self.device))
        return box[0]


def sum_over_processes(tensor: torch.Tensor) -> torch.Tensor:
    """The sum of a tensor over all processes that train, with its gradient; what it was in one process alone.

    For losses and layers that take something of the whole batch: means of images need nothing. As gradients are
    averaged afterwards, the same loss in all processes counts once.
    """
    return _Sum.apply(tensor) if distributed.is_initialized() else tensor


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor) -> torch.Tensor:
        total = tensor.clone(memory_format=torch.contiguous_format)
        with _all_there():
            distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return _Sum.apply(gradient)


@contextmanager
def _all_there() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # of a connection that broke; the back ends have no class for it
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"process {os.environ.get('RANK')} has lost another process of this run, which ended or cannot be reached "
            f"({reason}); see what that one told, and give the same command again, with any number of processes, to go "
            "on from the last checkpoint"
        ) from error


@contextmanager
def join_processes(device: str) -> Iterator[Processes]:
    """The processes that `torchrun` started, or this one alone.

    Args:
        device: Of several processes on "cuda", each takes the GPU of its local rank.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Processes(0, 1, device)
        return
    on_gpu = device.startswith("cuda")
    if on_gpu:
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    # A group cannot be made twice reliably, so a caller that trains twice makes it.
    # One that anything keeps until Python ends can abort the process then (seen: 1 of 100), after all is written.
    # torch.distributed.nn would, as torch's optimizers import it later.
    ours = not distributed.is_initialized()
    if ours:
        store, rank, _ = next(distributed.rendezvous("env://"))
        # torch 2.13 gives all restarts one store, in which the addresses of those that died would be found.
        store = distributed.PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), store)
        distributed.init_process_group("nccl" if on_gpu else "gloo", store=store, rank=rank, world_size=size)
    try:
        yield Processes(distributed.get_rank(), size, device)
    finally:
        if ours:
            distributed.destroy_process_group()
