"""Bundles in the workers of a pool: sent there once, run there as here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Protocol

import torch

from mammosynth.bundle import Bundle
from mammosynth.provenance import Provenance
from mammosynth.synthesis.result import Result
from mammosynth.task import Output, Remark

_Progress = Callable[[float, str], None]


class Pool(Protocol):
    """See `parallel.pool.RayPool`."""

    def call(self, name: str, job: Any, *, progress: _Progress, is_unwanted: Callable[[], bool]) -> Any:
        """What a worker makes of a job."""


def parts_of(bundles: Iterable[Bundle], device: str) -> dict[str, Callable[[], Any]]:
    """What workers are given, by the name of the bundle; see `parallel.pool.RayPool.begin`.

    Args:
        bundles: On any device.
        device: A torch device of the workers.
    """
    return {bundle.name: partial(_load, bundle, device) for bundle in bundles}


def synthesize_in(
    pool: Pool,
    is_unwanted: Callable[[], bool],
    bundle: Bundle,
    inputs: Mapping[str, Any],
    *,
    progress: _Progress,
    **settings: Any,
) -> Result:
    """As `Bundle.synthesize`, in a worker.

    Args:
        pool: Where the workers are.
        is_unwanted: Asked often; the result is given up once it says so.
        bundle: One of those that the workers have.
        inputs: By role.
        progress: Told a fraction in [0, 1] and what happens.
        **settings: Further arguments of `Bundle.synthesize`.
    """
    made_from, *made = pool.call(bundle.name, (inputs, settings), progress=progress, is_unwanted=is_unwanted)
    return Result(bundle.task, {role: inputs[role] for role in made_from}, *made)


def _load(bundle: Bundle, device: str) -> Callable[..., Any]:
    bundle.synthesizer.network.to(torch.device(device))
    return partial(_synthesize, bundle)


def _synthesize(
    bundle: Bundle, job: tuple[Mapping[str, Any], Mapping[str, Any]], progress: _Progress
) -> tuple[tuple[str, ...], tuple[Output, ...], Provenance, tuple[Remark, ...]]:
    """What a result is; of what it was made from the roles alone: the inputs need not travel back."""
    inputs, settings = job
    result = bundle.synthesize(inputs, progress=progress, **settings)
    return tuple(result.inputs), result.outputs, result.provenance, result.remarks
