"""Numbers and checkpoints: the tree over the entries is built anew and meets each root that was signed, or kept elsewhere, before."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mapex.audit.merkle import Tree
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


class Roots:
    """The roots that the log must meet, in order; entries are taken one after another."""

    def __init__(self, roots: Sequence[Root]) -> None:
        self._roots = sorted(roots, key=lambda root: root.seq)
        self._next = 0
        self._tree = Tree()
        self._last = 0
        self._gaps: list[str] = []
        self._met = 0

    def take(self, seq: int, commitment: str) -> Iterator[Offender]:
        """The next entry; roots that end before it are compared first."""
        while self._next < len(self._roots) and self._roots[self._next].seq < seq:
            yield from self._compare()
        if seq != self._last + 1 and len(self._gaps) < MOST_GAPS:
            first, last = self._last + 1, seq - 1
            self._gaps.append(f"entry {first}" if first == last else f"entries {first} to {last}")
        self._last = seq
        try:
            leaf = bytes.fromhex(commitment)
        except ValueError:
            leaf = commitment.encode()
        self._tree.add(leaf)

    def end(self, *, is_dense: bool) -> Iterator[Offender]:
        """All entries were taken.

        Args:
            is_dense: numbers have no gaps in this database. In PostgreSQL what was undone leaves one: only a root tells it from a removal.
        """
        while self._next < len(self._roots):
            yield from self._compare()
        if is_dense:
            yield from (f"{gap} not there" for gap in map(_verb, self._gaps))

    def _compare(self) -> Iterator[Offender]:
        """The next root with the tree as it is. Once one differs, all after it do: the first is named."""
        kept = self._roots[self._next]
        self._next += 1
        if self._met < 0:
            return
        missing = kept.size - self._tree.size
        after = f"after number {self._met}" if self._met else "from the first one on"
        if missing > 0:
            gaps = f" ({', '.join(self._gaps)})" if self._gaps else ""
            yield f"{missing} of the entries up to number {kept.seq} were removed{gaps}: {kept.kept} has {kept.size}"
        elif missing < 0:
            yield f"{-missing} entries up to number {kept.seq} were put in: {kept.kept} has {kept.size}"
        elif kept.root != self._tree.root().hex():
            yield f"entries {after} up to number {kept.seq} are not those that were signed: {kept.kept} has another root"
        else:
            self._met = kept.seq
            return
        self._met = -1


def _verb(gap: str) -> str:
    return f"{gap} {'are' if gap.startswith('entries') else 'is'}"
