"""Recovery codes: ten texts on paper for whoever has lost app and passkey. Shown once, kept as hashes, each good for one use."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence

from sqlalchemy import delete, func, insert, select, update

from mapex import authority
from mapex.audit import log
from mapex.database import db, schema
from mapex.database.acts import act
from mapex.errors import Conflict
from mapex.exchange import Actor, Exchange

CODES = 10
_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"  # 16 of them are 80 random bits


def make(ex: Exchange, by: Actor) -> Sequence[str]:
    """Ten new codes of the person at the browser, in place of the old ones.

    Raises: Denied: `session.only`, `session.stale`. Conflict: `factor.none`: there is nothing to recover.
    """
    authority.confirmed(ex, by)
    codes = ["-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4)) for _ in range(CODES)]
    factor, code = schema.second_factor.c, schema.recovery_code.c
    with act(ex, by, f"person:{by.email}") as conn:
        if not conn.execute(select(func.count()).where(factor.person_id == by.person_id)).scalar_one():
            raise Conflict("factor.none", "Add an authenticator app or a passkey first; recovery codes stand in for those.")
        conn.execute(delete(schema.recovery_code).where(code.person_id == by.person_id))
        rows = [{"hash": _hash(by.person_id, one), "person_id": by.person_id, "created_ns": ex.now()} for one in codes]
        conn.execute(insert(schema.recovery_code), rows)
        about = {"subject": by.email, "codes": CODES, "codes_sha256": digest_of(sorted(str(row["hash"]) for row in rows))}
        log.append(conn, ex, by, log.AuditEntry(log.Action.RECOVERY_MADE, details=about))
    return codes


def left(ex: Exchange, person_id: str) -> int:
    """How many codes the person can still use."""
    code = schema.recovery_code.c
    with db.read(ex) as conn:
        return conn.execute(select(func.count()).where(code.person_id == person_id, code.used_ns.is_(None))).scalar_one()


def use(ex: Exchange, by: Actor, text: str) -> bool:
    """Whether `text` is a code of this person that was not used before; then it is used."""
    code = schema.recovery_code.c
    with db.begin(ex) as conn:
        this = update(schema.recovery_code).where(code.hash == _hash(by.person_id, text), code.used_ns.is_(None))
        if conn.execute(this.values(used_ns=ex.now())).rowcount != 1:
            return False
        log.append(conn, ex, by, log.AuditEntry(log.Action.RECOVERY_USED, details={"subject": by.email}))
    return True


def digest_of(texts: Sequence[str]) -> str:
    """What the log says of texts that are stored, so that `mapex fsck` finds when they were exchanged."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _hash(person_id: str, text: str) -> str:
    letters = "".join(text.lower().split()).replace("-", "")
    return hashlib.sha256(f"{person_id} {letters}".encode()).hexdigest()
