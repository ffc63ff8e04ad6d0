"""The cage attacked from inside, as `mapex doctor` does it: a child like those that open uploads tries to get out."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ingest.cage import launch
from ingest.cage.child import MIB, Limits
from mapex.errors import Unavailable

LIMITS = Limits(memory=1024 * MIB, cpu_s=20, wall_s=40, file=8 * MIB, output=16 * MIB, scratch=8 * MIB)


def attack_cage(secrets: Sequence[Path], choice: str) -> list[str]:
    """What worked of all that was tried from inside; empty when the cage holds.

    Args:
        secrets: files and folders that no reader may see.
        choice: as the setting `cage`.
    Raises: Unavailable: `cage.untried`: the attack itself did not come to its end, so that nothing is known; `cage.missing`.
    """
    tried: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="mapex-doctor-") as name, socket.create_server(("127.0.0.1", 0)) as listener:
        reads, writes = Path(name) / "reads", Path(name) / "writes"
        reads.mkdir()
        writes.mkdir()
        request = {"secrets": [str(path) for path in secrets], "port": listener.getsockname()[1]}
        ending = launch.run("attack", request, reads=reads, writes=writes, limits=LIMITS, on_line=tried.append, choice=choice)
        if not ending.done or not tried:
            raise Unavailable("cage.untried", f"The attack on the cage did not come to its end: {ending.stderr[-500:]}")
        beside = writes.with_name("writes-beside").exists() or any(reads.iterdir())
    return [*(str(one.get("attack")) for one in tried if one.get("worked")), *(["write outside"] if beside else [])]
