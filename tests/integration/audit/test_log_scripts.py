"""What "Verify the log" computes in the browser, run by Node over made logs and compared with hashlib and RFC 6962 as it is written."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

import web
from tests.support.processes import node

PROOF = Path(web.__file__).parent / "static" / "js" / "audit" / "proof.js"
PROVE = """
import { readFileSync } from "node:fs";
const { prove } = await import(process.argv[1]);
const { pages, before } = JSON.parse(readFileSync(process.argv[2]));
const asked = [], steps = [];
const read = async (path) => (asked.push(path), pages[asked.length - 1]);
console.log(JSON.stringify({ ...(await prove(read, before, (progress) => steps.push(progress))), asked, steps }));
"""
BLOCK = 1024

Line = list[Any]


def entries(size: int, *, other: int | None = None) -> list[Line]:
    """A log whose numbers have gaps, as PostgreSQL leaves them; entry `other` tells something else, and fits."""
    return [entry(3 * i + 1, f'{{"v":1,"길":{i + (10**6 if i == other else 0)}}}') for i in range(size)]


def entry(seq: int, payload: str) -> Line:
    salt = hashlib.sha256(str(seq).encode()).digest()
    return [seq, payload, salt.hex(), hashlib.sha256(salt + payload.encode()).hexdigest()]


def root(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1: split at the largest power of two below n."""
    if len(leaves) < 2:
        return hashlib.sha256(b"\x00" + leaves[0] if leaves else b"").digest()
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + root(leaves[:k]) + root(leaves[k:])).digest()


def root_of(log: list[Line]) -> str:
    return root([bytes.fromhex(line[3]) for line in log]).hex()


def proved(folder: Path, log: list[Line], before: dict[str, Any] | None = None, *, page: int = 700) -> dict[str, Any]:
    """What the script says of a log that comes in pages."""
    head = log[-1][0] if log else 0
    cut = [log[at : at + page] for at in range(0, max(1, len(log)), page)]
    pages = [{"entries": part, "head": head, "next": part[-1][0] if part is not cut[-1] else None} for part in cut]
    file = folder / "log.json"
    file.write_text(json.dumps({"pages": pages, "before": before}))
    found: dict[str, Any] = json.loads(node(PROVE, PROOF.as_uri(), str(file)))
    return found


@pytest.mark.parametrize("size", [0, 1, 2, 3, 5, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 7])
def test_the_root_is_that_of_rfc_6962(tmp_path: Path, size: int) -> None:
    log = entries(size)
    found = proved(tmp_path, log)
    assert (found["now"]["size"], found["now"]["root"]) == (size, root_of(log))
    assert found["now"]["blocks"] == [root_of(log[at : at + BLOCK]) for at in range(0, size - BLOCK + 1, BLOCK)]
    assert (found["wrong"], found["change"]) == ([], None)


def test_every_page_is_read_once_and_progress_goes_to_the_last_entry(tmp_path: Path) -> None:
    found = proved(tmp_path, entries(2000))
    walk = [f"/audit/entries?after={3 * at - 2}&head=5998" for at in (700, 1400)]
    assert found["asked"] == ["/audit/entries", *walk]
    seqs = [progress["seq"] for progress in found["steps"]]
    assert seqs == sorted(seqs)
    assert found["steps"][-1] == {"seq": 5998, "head": 5998}


def test_entries_that_are_not_what_was_committed_to_are_named(tmp_path: Path) -> None:
    log = entries(1500)
    log[3][1] += " "
    log[1200][2] = "00" * 32
    assert proved(tmp_path, log)["wrong"] == [10, 3601]


@pytest.mark.parametrize("size", [1, 5, BLOCK, BLOCK + 5, 2 * BLOCK, 2 * BLOCK + 900])
def test_a_log_that_has_grown_agrees_with_what_was_kept(tmp_path: Path, size: int) -> None:
    log = entries(2 * BLOCK + 900)
    assert proved(tmp_path, log, proved(tmp_path, log[:size])["now"])["change"] is None


@pytest.mark.parametrize(("other", "first", "last"), [(0, 0, 1023), (1024, 1024, 2047), (2047, 1024, 2047), (2048, 2048, 2299)])
def test_a_history_that_was_rewritten_is_placed(tmp_path: Path, other: int, first: int, last: int) -> None:
    kept = proved(tmp_path, entries(2300))["now"]
    found = proved(tmp_path, entries(2500, other=other), kept)
    assert found["wrong"] == []
    assert found["change"] == {"kind": "changed", "from": 3 * first + 1, "to": 3 * last + 1}


def test_a_log_that_was_cut_off_is_shorter(tmp_path: Path) -> None:
    kept = proved(tmp_path, entries(1100))["now"]
    assert proved(tmp_path, entries(1099), kept)["change"] == {"kind": "shorter"}
