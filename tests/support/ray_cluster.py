"""Several machines of a Ray cluster, simulated on this one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import refuse_unless_marked

_STORE_BYTES = 100 << 20


@contextmanager
def cluster_of(nodes: int, folder: Path) -> Iterator[Any]:
    """A cluster whose head does no work, and so many machines of one CPU.

    Args:
        nodes: How many.
        folder: Of its files; short, since the names of sockets may have 107 bytes.

    Yields:
        The `ray.cluster_utils.Cluster`; machines can be added and removed.
    """
    refuse_unless_marked()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    # Ray writes this machine's cluster into one file when it starts and removes the file in the end: not the user's.
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_TMPDIR", str(folder))
        cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 0,
                "object_store_memory": _STORE_BYTES,
                "include_dashboard": False,
                "_system_config": {"health_check_period_ms": 500, "health_check_failure_threshold": 3},
            },
        )
        try:
            for _ in range(nodes):
                add_node(cluster)
            yield cluster
        finally:
            cluster.shutdown()


@contextmanager
def temporary_cluster(nodes: int) -> Iterator[Any]:
    """As `cluster_of`, in a folder of its own that is removed."""
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    try:
        with cluster_of(nodes, folder) as started:
            yield started
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def add_node(cluster: Any) -> Any:
    """Another machine of one CPU."""
    return cluster.add_node(num_cpus=1, object_store_memory=_STORE_BYTES)
