"""The Merkle tree of RFC 6962 (2.1), grown leaf by leaf: what is kept of it is one hash for each full subtree at its right edge."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256


class Tree:
    """A tree of `size` leaves. `edge` are the roots of its full subtrees, the largest first: enough to go on and to compute the root."""

    __slots__ = ("edge", "size")

    def __init__(self, size: int = 0, edge: Sequence[bytes] = ()) -> None:
        """Raises: ValueError: so many leaves have another edge."""
        if len(edge) != size.bit_count():
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} full subtrees, not {len(edge)}")
        self.size, self.edge = size, list(edge)

    def add(self, leaf: bytes) -> None:
        """Append a leaf (its data; it is hashed here)."""
        node, size, edge = sha256(b"\x00" + leaf).digest(), self.size, self.edge
        while size & 1:  # two subtrees of the same height become one
            node = sha256(b"\x01" + edge.pop() + node).digest()
            size >>= 1
        edge.append(node)
        self.size += 1

    def root(self) -> bytes:
        """The hash over all leaves."""
        if not self.edge:
            return sha256(b"").digest()
        node = self.edge[-1]
        for left in reversed(self.edge[:-1]):
            node = sha256(b"\x01" + left + node).digest()
        return node
