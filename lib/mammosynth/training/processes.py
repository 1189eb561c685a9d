"""`Processes`: one or several processes of `torchrun` that train one model together."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import distributed

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Processes:
    """Who else trains. Every method must be called by all of them.

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
        distributed.all_reduce(flat)
        parts = (flat / self.size).split([tensor.numel() for tensor in together])
        with torch.no_grad():
            for tensor, part in zip(together, parts, strict=True):
                tensor.copy_(part.view_as(tensor))

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        if self.size == 1:
            return flag
        flags = torch.tensor(float(flag), device=self.device)
        distributed.all_reduce(flags, distributed.ReduceOp.MAX)
        return bool(flags)

    def wait(self) -> None:
        """Until all are here."""
        if self.size > 1:
            distributed.barrier()

    def from_first(self, value: _Value) -> _Value:
        """What the first process gave."""
        if self.size == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, device=torch.device(self.device))
        return box[0]


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
    ours = not distributed.is_initialized()
    if ours:
        distributed.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield Processes(distributed.get_rank(), size, device)
    finally:
        if ours:
            distributed.destroy_process_group()
