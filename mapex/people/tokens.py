"""API tokens: what programs of a person sign in with. A revoked or expired one is refused from the next request on."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import RowMapping, and_, false, insert, select

from mapex import authority, ids
from mapex.audit import log
from mapex.database import db, schema
from mapex.database.acts import act
from mapex.errors import Invalid, NotFound
from mapex.exchange import Actor, Exchange
from mapex.people import signers
from mapex.people.endings import end_invitations, end_tokens, orgs_of
from mapex.people.persons import Person, person_of, select_persons
from mapex.texts import check_text
from mapex.times import DAY_NS, iso_from_ns

SCOPES = ("*", "read", "sell", "buy", "audit", "operate")
"""What a token may be limited to: read = look at everything the person may see; `*` = all the person may do."""

TOKEN_DAYS = 90
MAX_TOKEN_DAYS = 366


@dataclass(frozen=True, slots=True)
class Token:
    """An API token without its secret."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created_ns: int
    expires_ns: int
    revoked_ns: int | None


def create(
    ex: Exchange, person: Person | Actor, name: str = "", scopes: Iterable[str] = ("*",), days: int = TOKEN_DAYS, *, by: Actor | None = None
) -> str:
    """A new API token of `person`: the secret `mpx_<id>_<secret>`, shown this once and stored as sha256 only.

    One that is made with a token ends with that, by its time or when it is revoked: else whoever stole one for a moment would keep another.

    Args:
        by: who makes it: the person, an operator, or None at the machine.
    Raises: Invalid (`token.scope`, `token.days`), Denied.
    """
    authority.confirmed_by_factor(ex, by)
    chosen = tuple(dict.fromkeys(scopes))
    unknown = [scope for scope in chosen if scope not in SCOPES]
    if unknown or not chosen:
        raise Invalid("token.scope", f"Scopes are {', '.join(SCOPES)}, not {', '.join(unknown) or 'none'}.", scopes=unknown)
    if not 1 <= days <= MAX_TOKEN_DAYS:
        raise Invalid("token.days", f"A token lives 1 to {MAX_TOKEN_DAYS} days, not {days}.", days=days)
    person_id = person.id if isinstance(person, Person) else person.person_id
    if by is not None and by.person_id != person_id:
        authority.operator(by)
    if by is not None and "*" not in by.scopes and not set(chosen) <= by.scopes:
        raise Invalid("token.scope", "A limited token cannot make a wider one; name scopes that it has itself.", scopes=list(chosen))
    token_id = ids.new("tok")
    secret = f"mpx_{token_id.removeprefix('tok_')}_{secrets.token_urlsafe(32)}"
    now = ex.now()
    ends_ns = min(now + days * DAY_NS, by.until_ns if by is not None and by.until_ns is not None else now + days * DAY_NS)
    row = {
        "id": token_id,
        "person_id": person_id,
        "hash": _hash(secret),
        "name": check_text(name or "token", "name", 255),
        "scopes": " ".join(chosen),
        "created_ns": now,
        "expires_ns": ends_ns,
        "parent_id": by.token_id if by is not None else None,
    }
    made_with = {"parent": row["parent_id"]} if row["parent_id"] else {}
    details = {"subject": person.email, "token": token_id, "scopes": list(chosen), "expires": iso_from_ns(ends_ns), **made_with}
    with act(ex, by, f"person:{person.email}") as conn:  # a change of role revokes all tokens, also one that is made meanwhile
        conn.execute(insert(schema.api_token).values(**row))
        log.append(conn, ex, by, log.AuditEntry(log.Action.TOKEN_CREATED, owner=person.org_slug, details=details))
    return secret


def of(ex: Exchange, by: Actor) -> Sequence[Token]:
    """The tokens of `by` that are not revoked, newest first."""
    token = schema.api_token.c
    query = (
        select(schema.api_token)
        .where(token.person_id == by.person_id, token.revoked_ns.is_(None))
        .order_by(token.created_ns.desc(), token.id)
    )
    with db.read(ex) as conn:
        return [_token(found) for found in conn.execute(query).mappings()]


def revoke(ex: Exchange, by: Actor | None, token_id: str, *, whose: Person | None = None) -> None:
    """Revoke a token of one's own (an operator: of anyone), and what was made with it: tokens, those made with these, open invitations.

    Effective on the next request, and on addresses handed out.

    Args:
        by: who revokes it: the person, an operator, or None at the machine.
        whose: it is of this person, or there is none.

    Raises: NotFound: absent, foreign, or revoked before.
    """
    token = schema.api_token.c
    this = [token.id == token_id]
    if by is not None and by.role != "operator":
        this.append(token.person_id == by.person_id)
    if whose is not None:
        this.append(token.person_id == whose.id)
    with signers.retiring(ex) as retire, act(ex, by) as conn:
        revoked = end_tokens(conn, ex, and_(*this))
        if not revoked:
            raise NotFound("token.unknown", "There is no such token.")
        ended = {"tokens_revoked": len(revoked), "invitations_ended": end_invitations(conn, ex, false())}
        person = person_of(conn.execute(select_persons().where(schema.person.c.id == revoked[0])).mappings().one())
        details = {"subject": person.email, "token": token_id, **ended}
        log.append(conn, ex, by, log.AuditEntry(log.Action.TOKEN_REVOKED, owner=person.org_slug, details=details))
        retire(conn, orgs_of(conn, revoked))


def actor_of(ex: Exchange, secret: str) -> Actor | None:
    """Who acts with this token; None when it is unknown, expired, revoked, or its person or organisation is suspended."""
    prefix, _, rest = secret.partition("_")
    token_id, _, tail = rest.partition("_")
    if prefix != "mpx" or not token_id or not tail or len(secret) > 255:
        return None
    token = schema.api_token.c
    query = select_persons().add_columns(token.id.label("token_id"), token.hash, token.scopes, token.expires_ns, token.revoked_ns)
    query = query.join(schema.api_token, token.person_id == schema.person.c.id).where(token.id == f"tok_{token_id}")
    with db.read(ex) as conn:
        row = conn.execute(query).mappings().first()
    if row is None or not hmac.compare_digest(row["hash"], _hash(secret)):
        return None
    person = person_of(row)
    if row["revoked_ns"] is not None or row["expires_ns"] <= ex.now() or not person.is_active:
        return None
    scopes = frozenset(row["scopes"].split())
    return Actor(
        person.id, person.email, person.role, person.org_id, person.org_slug, scopes, until_ns=row["expires_ns"], token_id=row["token_id"]
    )


def _token(row: RowMapping) -> Token:
    return Token(row["id"], row["name"], tuple(row["scopes"].split()), row["created_ns"], row["expires_ns"], row["revoked_ns"])


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
