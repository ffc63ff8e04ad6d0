"""Numbers and checkpoints: the tree over the entries is built anew and meets each root that was signed, or kept elsewhere, before.

Numbers follow one another up to the head of the log; where they came from a sequence of PostgreSQL, their count is known instead.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from mapex.audit.merkle import Tree
from mapex.database.schema import log_head
from mapex.errors import Invalid
from mapex.operation.invariants.asking import Offender

MOST_GAPS = 100
"""How many gaps are remembered; who removed more is named by the first ones."""


@dataclass(frozen=True, slots=True)
class Root:
    """The root over `size` entries up to number `seq`, as somebody keeps it; `kept` names where and from when."""

    size: int
    seq: int
    root: str
    kept: str


def from_file(text: str, name: str) -> Root:
    """The checkpoint that an auditor's browser saved as a file.

    Raises: Invalid: `fsck.checkpoint`.
    """
    try:
        saved = json.loads(text)
        if saved["mapex"] != "checkpoint":
            raise ValueError
        return Root(int(saved["size"]), int(saved["seq"]), str(saved["root"]), f"the checkpoint of {str(saved['at'])[:40]} in {name}")
    except (KeyError, TypeError, ValueError) as error:
        raise Invalid("fsck.checkpoint", f"{name} is no checkpoint of a log. Give a file that the page Verify the log saved.") from error


@dataclass(frozen=True, slots=True)
class Head:
    """How far something that only grows went (`log_head`); of numbers up to `gaps_until`, `gaps` were never used."""

    newest: int
    gaps: int
    gaps_until: int


def heads(conn: Connection) -> dict[str, Head]:
    """The heads by the table that they count."""
    return {row.name: Head(row.newest, row.gaps, row.gaps_until) for row in conn.execute(select(log_head))}


class Roots:
    """The roots that the log must meet, in order; entries are taken one after another."""

    def __init__(self, roots: Sequence[Root], head: Head | None) -> None:
        """`head` is that of the log; None: it is gone."""
        self._roots = sorted(roots, key=lambda root: root.seq)
        self._head = head or Head(0, 0, 0)
        self._has_head = head is not None
        self._next = 0
        self._tree = Tree()
        self._last = 0
        self._early = 0
        self._gaps: list[tuple[int, int]] = []
        self._met = 0

    def take(self, seq: int, commitment: str) -> Iterator[Offender]:
        """The next entry; roots that end before it are compared first."""
        while self._next < len(self._roots) and self._roots[self._next].seq < seq:
            yield from self._compare()
        if seq != self._last + 1 and len(self._gaps) < MOST_GAPS:
            self._gaps.append((self._last + 1, seq - 1))
        self._last = seq
        self._early += seq <= self._head.gaps_until
        try:
            leaf = bytes.fromhex(commitment)
        except ValueError:
            leaf = commitment.encode()
        self._tree.add(leaf)

    def end(self) -> Iterator[Offender]:
        """All entries were taken."""
        while self._next < len(self._roots):
            yield from self._compare()
        newest, until = self._head.newest, self._head.gaps_until
        if not self._has_head:
            yield "the head of the log is gone"
        elif newest > self._last:
            self._gaps.append((self._last + 1, newest))
        elif newest < self._last:
            yield f"{_numbers(newest + 1, self._last)} put in: the head of the log is {newest}"
        removed = until - self._head.gaps - self._early
        if removed > 0:
            yield f"{removed} of the entries up to number {until} were removed, which were counted when numbers got no more gaps"
        elif removed < 0:
            yield f"{-removed} entries up to number {until} were put in after they were counted"
        yield from (f"{_numbers(first, last)} not there" for first, last in self._gaps if last > until)

    def _compare(self) -> Iterator[Offender]:
        """The next root with the tree as it is. Once one differs, all after it do: the first is named."""
        kept = self._roots[self._next]
        self._next += 1
        if self._met < 0:
            return
        missing = kept.size - self._tree.size
        after = f"after number {self._met}" if self._met else "from the first one on"
        if missing > 0:
            gaps = f" ({', '.join(_numbers(*gap).rpartition(' ')[0] for gap in self._gaps)})" if self._gaps else ""
            yield f"{missing} of the entries up to number {kept.seq} were removed{gaps}: {kept.kept} has {kept.size}"
        elif missing < 0:
            yield f"{-missing} entries up to number {kept.seq} were put in: {kept.kept} has {kept.size}"
        elif kept.root != self._tree.root().hex():
            yield f"entries {after} up to number {kept.seq} are not those that were signed: {kept.kept} has another root"
        else:
            self._met = kept.seq
            return
        self._met = -1


def _numbers(first: int, last: int) -> str:
    return f"entry {first} is" if first == last else f"entries {first} to {last} are"
