"""Checkpoints of the log: the Merkle root over the entries so far, signed with a key that is not in the database.

Who can change every row but has no secret of the exchange cannot write history again before the newest checkpoint: `mapex fsck` builds
the tree anew and compares. A worker makes one every ten minutes, when the log grew.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import rfc8785
from sqlalchemy import Connection, RowMapping, insert, select

from mapex.audit.merkle import Tree
from mapex.audit.proof import settled_head
from mapex.database import db
from mapex.database.schema import audit_event, log_checkpoint
from mapex.exchange import Exchange

MOST = 100_000
"""Entries that one step takes; the database waits for no longer than these need."""

FEW = 100
"""How many of the newest checkpoints are looked at for one of ours."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The root (hex) over the first `size` entries, of which `seq` is the last; `edge` is that of the tree (hex, space separated)."""

    size: int
    seq: int
    root: str
    edge: str
    at_ns: int

    @property
    def tree(self) -> Tree:
        """The tree to go on with."""
        return Tree(self.size, [bytes.fromhex(node) for node in self.edge.split()])


def keep(ex: Exchange) -> Checkpoint | None:
    """Sign the log as it is now, at most `MOST` entries further than before; None: there was nothing to add.

    Raises: Unavailable.
    """
    with db.in_turn(ex, "log_checkpoint") as conn:
        before, head = newest(ex, conn), settled_head(conn)
        tree, seq = (before.tree, before.seq) if before else (Tree(), 0)
        event = audit_event.c
        new = select(event.seq, event.commitment).where(event.seq > seq, event.seq <= head).order_by(event.seq).limit(MOST)
        rows = conn.execute(new).all()
        for row in rows:
            tree.add(bytes.fromhex(row.commitment))
        taken = select(log_checkpoint.c.size).where(log_checkpoint.c.size == tree.size)
        if not rows or conn.execute(taken).first() is not None:
            return None
        edge = " ".join(node.hex() for node in tree.edge)
        made = Checkpoint(tree.size, rows[-1].seq, tree.root().hex(), edge, ex.now())
        conn.execute(insert(log_checkpoint).values(**asdict(made), signature=_signature(ex, asdict(made))))
        return made


def newest(ex: Exchange, conn: Connection) -> Checkpoint | None:
    """The newest checkpoint whose signature is ours, among the last few."""
    rows = conn.execute(select(log_checkpoint).order_by(log_checkpoint.c.size.desc()).limit(FEW)).mappings()
    return next((_checkpoint(row) for row in rows if _is_genuine(ex, row)), None)


def stored(ex: Exchange, conn: Connection) -> list[tuple[Checkpoint, bool]]:
    """The checkpoints by the number of their last entry, each with whether its signature is ours."""
    rows = conn.execute(select(log_checkpoint).order_by(log_checkpoint.c.seq, log_checkpoint.c.size)).mappings()
    return [(_checkpoint(row), _is_genuine(ex, row)) for row in rows]


def _checkpoint(row: RowMapping) -> Checkpoint:
    return Checkpoint(**{name: row[name] for name in Checkpoint.__dataclass_fields__})


def _is_genuine(ex: Exchange, row: RowMapping) -> bool:
    return hmac.compare_digest(_signature(ex, row), str(row["signature"]))


def _signature(ex: Exchange, values: Mapping[Any, Any]) -> str:
    signed = rfc8785.dumps({name: str(values[name]) for name in Checkpoint.__dataclass_fields__})
    return hmac.new(ex.settings.signing_key.encode(), b"mapex-log-checkpoint\n" + signed, hashlib.sha256).hexdigest()
