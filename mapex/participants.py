"""Organisations, persons, passwords and API tokens.

A suspended person or organisation, a revoked or expired token: refused from the next request on, because each request asks anew.
`by=None` is the operator at the machine (the command line on the exchange itself).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from mapex import audit, authority, db, ids, schema, showcase
from mapex.errors import Conflict, Invalid, NotFound, Unavailable
from mapex.exchange import Actor, Exchange
from mapex.times import DAY_NS

SCOPES = ("*", "read", "sell", "buy", "audit", "operate")
"""What a token may be limited to: read = look at everything the person may see; `*` = all the person may do."""

TOKEN_DAYS = 90
MAX_TOKEN_DAYS = 366
LOGINS_AT_ONCE = 2
"""Passwords that are checked at the same time: one takes 64 MiB and a third of a second of four threads (trust.md 1.2)."""
LOGIN_WAIT_SECONDS = 10
MIN_PASSWORD = 12
MAX_PASSWORD = 256

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,188}[A-Za-z0-9])?")
_hashing = threading.BoundedSemaphore(LOGINS_AT_ONCE)


@dataclass(frozen=True, slots=True)
class Org:
    """An organisation: it sells and buys."""

    id: str
    slug: str
    name: str
    state: str  # active | suspended
    created_ns: int


@dataclass(frozen=True, slots=True)
class Person:
    """A person; `org_id` is None for auditors and operators. `session_key` changes when all sessions must end."""

    id: str
    email: str
    name: str
    org_id: str | None
    org_slug: str
    role: str
    state: str
    org_state: str
    session_key: str
    has_password: bool
    language: str
    created_ns: int

    @property
    def is_active(self) -> bool:
        """Whether the person may act: neither person nor organisation is suspended."""
        return self.state == "active" and self.org_state == "active"

    @property
    def actor(self) -> Actor:
        """The person as actor with all scopes."""
        return Actor(self.id, self.email, self.role, self.org_id, self.org_slug)


@dataclass(frozen=True, slots=True)
class Token:
    """An API token without its secret."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created_ns: int
    expires_ns: int
    revoked_ns: int | None


def add_org(ex: Exchange, by: Actor | None, slug: str, name: str = "") -> Org:
    """A new organisation.

    Raises: Denied, Invalid (`slug.malformed`), Conflict (`org.exists`).
    """
    authority.operator(by)
    check_slug(slug)
    org = Org(ids.new("org"), slug, check_text(name or slug, "name", 255), "active", ex.now())

    def work(conn: Connection) -> Org:
        if conn.execute(select(schema.organisation.c.id).where(schema.organisation.c.slug == slug)).first():
            raise Conflict("org.exists", f"an organisation {slug!r} exists already", slug=slug)
        conn.execute(insert(schema.organisation).values(id=org.id, slug=slug, name=org.name, state=org.state, created_ns=org.created_ns))
        audit.append(conn, ex, by, audit.Action.ORG_ADDED, owner=slug, name=org.name)
        return org

    return db.run(ex, work)


def orgs(ex: Exchange) -> Sequence[Org]:
    """All organisations by slug."""
    with db.read(ex) as conn:
        return [_org(row) for row in conn.execute(select(schema.organisation).order_by(schema.organisation.c.slug)).mappings()]


def find_org(conn: Connection, slug: str) -> Org:
    """The organisation of this slug.

    Raises: NotFound.
    """
    row = conn.execute(select(schema.organisation).where(schema.organisation.c.slug == slug)).mappings().first()
    if row is None:
        raise NotFound("org.unknown", "there is no such organisation")
    return _org(row)


def get_org(ex: Exchange, slug: str) -> Org:
    """As `find_org`, in its own transaction."""
    with db.read(ex) as conn:
        return find_org(conn, slug)


def set_org_state(ex: Exchange, by: Actor | None, slug: str, state: str) -> Org:
    """Suspend or resume an organisation with all its persons and tokens; effective on their next request."""
    authority.operator(by)
    action = state_action(state, audit.Action.ORG_SUSPENDED, audit.Action.ORG_RESUMED)
    with db.begin(ex) as conn:
        org = find_org(conn, slug)
        if org.state == state:
            return org  # said twice: nothing changes, nothing is logged
        conn.execute(update(schema.organisation).where(schema.organisation.c.slug == slug).values(state=state))
        showcase.show_org(conn, org.id, active=state == "active")
        audit.append(conn, ex, by, action, owner=slug)
        return find_org(conn, slug)


def add_person(
    ex: Exchange, by: Actor | None, email: str, *, org: str = "", role: str = "member", name: str = "", password: str | None = None
) -> Person:
    """A new person: a member of the organisation with slug `org`, or an auditor or operator (of none).

    Raises: Denied, Invalid (`person.*`, `password.*`), NotFound (`org.unknown`), Conflict (`person.exists`).
    """
    authority.operator(by)
    email = check_email(email)
    check_role(role, org)
    hashed = hash_password(password) if password is not None else None

    def work(conn: Connection) -> Person:
        return enter_person(conn, ex, by, email, org=org, role=role, name=name, password_hash=hashed)

    return db.run(ex, work)


def enter_person(
    conn: Connection,
    ex: Exchange,
    by: Actor | None,
    email: str,
    *,
    org: str,
    role: str,
    name: str,
    password_hash: str | None,
    **logged: str,
) -> Person:
    """Write a new person in the caller's transaction, who has checked that `by` may and that role and organisation fit.

    Args:
        logged: what else belongs into the audit row.
    Raises: NotFound (`org.unknown`), Conflict (`person.exists`).
    """
    if conn.execute(select(schema.person.c.id).where(schema.person.c.email == email)).first():
        raise Conflict("person.exists", f"{email} exists already", email=email)
    row = {
        "id": ids.new("per"),
        "email": email,
        "name": check_text(name or email.partition("@")[0], "name", 255),
        "org_id": find_org(conn, org).id if org else None,
        "role": role,
        "state": "active",
        "password_hash": password_hash,
        "session_key": secrets.token_hex(32),
        "created_ns": ex.now(),
    }
    conn.execute(insert(schema.person).values(**row))
    audit.append(conn, ex, by, audit.Action.PERSON_ADDED, owner=org, subject=email, role=role, **logged)
    return _find_person(conn, schema.person.c.email == email)


def get_person(ex: Exchange, *, person_id: str = "", email: str = "", session_key: str = "") -> Person | None:
    """The person with this id, e-mail or session key (give one), or None."""
    column, value = (
        (schema.person.c.id, person_id)
        if person_id
        else (schema.person.c.session_key, session_key)
        if session_key
        else (schema.person.c.email, email.strip().lower())
    )
    with db.read(ex) as conn:
        row = conn.execute(_persons().where(column == value)).mappings().first()
    return _person(row) if row else None


def find_person(conn: Connection, email: str) -> Person:
    """The person of this e-mail, in the caller's transaction.

    Raises: NotFound: `person.unknown`.
    """
    return _find_person(conn, schema.person.c.email == email)


def persons(ex: Exchange, by: Actor | None = None) -> Sequence[Person]:
    """All persons by e-mail; a member gets those of the own organisation."""
    query = _persons().order_by(schema.person.c.email)
    if by is not None and not authority.sees_all(by):
        query = query.where(schema.person.c.org_id == by.org_id)
    with db.read(ex) as conn:
        return [_person(row) for row in conn.execute(query).mappings()]


def set_language(ex: Exchange, by: Actor, language: str) -> None:
    """Remember the language of the pages for a person (`ko` or `en`)."""
    if language not in ("ko", "en"):
        raise Invalid("person.language", f"language must be ko or en, not {language!r}", language=language)
    with db.begin(ex) as conn:
        conn.execute(update(schema.person).where(schema.person.c.id == by.person_id).values(language=language))


def set_password(ex: Exchange, by: Actor | None, email: str, password: str) -> None:
    """Set a person's password (operator, or the person); all sessions of the person end.

    Raises: Denied, NotFound, Invalid (`password.short`, `password.long`).
    """
    email = check_email(email)
    if by is None or by.email != email:
        authority.operator(by)
    hashed = hash_password(password)
    with db.begin(ex) as conn:
        person = _find_person(conn, schema.person.c.email == email)
        values = {"password_hash": hashed, "session_key": secrets.token_hex(32)}
        conn.execute(update(schema.person).where(schema.person.c.id == person.id).values(**values))
        audit.append(conn, ex, by, audit.Action.PERSON_PASSWORD_SET, owner=person.org_slug, subject=email)


def verify_password(ex: Exchange, email: str, password: str) -> Person | None:
    """The active person with this password, or None; takes equally long whether the person exists or not.

    Raises: Unavailable: too many log-ins at once (`login.busy`).
    """
    with db.read(ex) as conn:
        person = schema.person.c
        row = conn.execute(select(person.id, person.password_hash).where(person.email == email.strip().lower())).first()
    stored = row.password_hash if row and row.password_hash else None
    fits = _fits(stored or _nobody(), password[: MAX_PASSWORD + 1])
    if row is None or stored is None or not fits:
        return None
    found = get_person(ex, person_id=row.id)
    return found if found and found.is_active else None


def hash_password(password: str) -> str:
    """Argon2id hash.

    Raises: Invalid: shorter than 12 or longer than 256 characters. Unavailable: too many at once.
    """
    if len(password) < MIN_PASSWORD:
        raise Invalid("password.short", f"a password needs at least {MIN_PASSWORD} characters")
    if len(password) > MAX_PASSWORD:
        raise Invalid("password.long", f"a password has at most {MAX_PASSWORD} characters")
    from argon2 import PasswordHasher

    with _a_turn():
        return PasswordHasher().hash(password)


def create_token(
    ex: Exchange, person: Person | Actor, name: str = "", scopes: Iterable[str] = ("*",), days: int = TOKEN_DAYS, *, by: Actor | None = None
) -> str:
    """A new API token of `person`: the secret `mpx_<id>_<secret>`, shown this once and stored as sha256 only.

    Args:
        by: who makes it: the person, an operator, or None at the machine.
    Raises: Invalid (`token.scope`, `token.days`), Denied.
    """
    chosen = tuple(dict.fromkeys(scopes))
    unknown = [scope for scope in chosen if scope not in SCOPES]
    if unknown or not chosen:
        raise Invalid("token.scope", f"scopes are {', '.join(SCOPES)}, not {', '.join(unknown) or 'none'}", scopes=unknown)
    if not 1 <= days <= MAX_TOKEN_DAYS:
        raise Invalid("token.days", f"a token lives 1 to {MAX_TOKEN_DAYS} days, not {days}", days=days)
    person_id = person.id if isinstance(person, Person) else person.person_id
    if by is not None and by.person_id != person_id:
        authority.operator(by)
    if by is not None and "*" not in by.scopes and not set(chosen) <= by.scopes:
        raise Invalid("token.scope", "a limited token cannot make a wider one", scopes=list(chosen))
    token_id = ids.new("tok")
    secret = f"mpx_{token_id.removeprefix('tok_')}_{secrets.token_urlsafe(32)}"
    now = ex.now()
    row = {
        "id": token_id,
        "person_id": person_id,
        "hash": _hash(secret),
        "name": check_text(name or "token", "name", 255),
        "scopes": " ".join(chosen),
        "created_ns": now,
        "expires_ns": now + days * DAY_NS,
    }
    with db.begin(ex) as conn:
        conn.execute(insert(schema.api_token).values(**row))
        audit.append(
            conn, ex, by, audit.Action.TOKEN_CREATED, owner=person.org_slug, subject=person.email, token=token_id, scopes=list(chosen)
        )
    return secret


def tokens(ex: Exchange, by: Actor) -> Sequence[Token]:
    """The tokens of `by` that are not revoked, newest first."""
    row = schema.api_token.c
    query = select(schema.api_token).where(row.person_id == by.person_id, row.revoked_ns.is_(None)).order_by(row.created_ns.desc(), row.id)
    with db.read(ex) as conn:
        return [_token(found) for found in conn.execute(query).mappings()]


def revoke_token(ex: Exchange, by: Actor, token_id: str) -> None:
    """Revoke a token of one's own (an operator: of anyone); effective on its next request.

    Raises: NotFound: absent, foreign, or revoked before.
    """
    row = schema.api_token.c
    whose = () if by.role == "operator" else (row.person_id == by.person_id,)
    with db.begin(ex) as conn:
        these = update(schema.api_token).where(row.id == token_id, row.revoked_ns.is_(None), *whose)
        person_id = conn.execute(these.values(revoked_ns=ex.now()).returning(row.person_id)).scalar()
        if person_id is None:
            raise NotFound("token.unknown", "there is no such token")
        person = _find_person(conn, schema.person.c.id == person_id)
        audit.append(conn, ex, by, audit.Action.TOKEN_REVOKED, owner=person.org_slug, subject=person.email, token=token_id)


def actor_by_token(ex: Exchange, secret: str) -> Actor | None:
    """Who acts with this token; None when it is unknown, expired, revoked, or its person or organisation is suspended."""
    prefix, _, rest = secret.partition("_")
    token_id, _, tail = rest.partition("_")
    if prefix != "mpx" or not token_id or not tail or len(secret) > 255:
        return None
    token = schema.api_token.c
    query = _persons().add_columns(token.hash, token.scopes, token.expires_ns, token.revoked_ns)
    query = query.join(schema.api_token, token.person_id == schema.person.c.id).where(token.id == f"tok_{token_id}")
    with db.read(ex) as conn:
        row = conn.execute(query).mappings().first()
    if row is None or not hmac.compare_digest(row["hash"], _hash(secret)):
        return None
    person = _person(row)
    if row["revoked_ns"] is not None or row["expires_ns"] <= ex.now() or not person.is_active:
        return None
    return Actor(person.id, person.email, person.role, person.org_id, person.org_slug, frozenset(row["scopes"].split()))


def actor_of(ex: Exchange, person_id: str) -> Actor | None:
    """The person as actor, or None when unknown or suspended."""
    person = get_person(ex, person_id=person_id)
    return person.actor if person and person.is_active else None


def note_session(ex: Exchange, person: Actor | None, what: str, *, email: str = "") -> None:
    """Log that a session was `opened`, `closed`, or `refused` (nobody: a wrong password for `email`)."""
    action = {"opened": audit.Action.SESSION_OPENED, "closed": audit.Action.SESSION_CLOSED, "refused": audit.Action.SESSION_REFUSED}[what]
    with db.begin(ex) as conn:
        audit.append(conn, ex, person, action, **({"subject": email[:255]} if email else {}))


def check_email(email: str) -> str:
    """`email` in small letters.

    Raises: Invalid: `person.email`.
    """
    email = email.strip().lower()
    if not _EMAIL.fullmatch(email):
        raise Invalid("person.email", f"{email[:80]!r} is no e-mail address", email=email[:80])
    return email


def check_role(role: str, org: str) -> None:
    """Pass when the role exists and goes with the organisation (slug, or empty).

    Raises: Invalid: `person.role`, `person.org`.
    """
    if role not in authority.ROLES:
        raise Invalid("person.role", f"role must be one of {', '.join(authority.ROLES)}, not {role!r}", role=role)
    if (role == "member") != bool(org):
        raise Invalid("person.org", "a member needs an organisation; auditors and operators have none", role=role, org=org)


def check_slug(slug: str) -> str:
    """`slug` itself.

    Raises: Invalid: not 1 to 63 of a-z, 0-9 and inner hyphens.
    """
    if not _SLUG.fullmatch(slug):
        raise Invalid("slug.malformed", f"{slug[:80]!r} must be 1 to 63 of a-z, 0-9 and inner hyphens", slug=slug[:80])
    return slug


def check_text(value: str, name: str, longest: int) -> str:
    """`value` stripped.

    Raises: Invalid: empty, too long, or with control characters (PostgreSQL cannot store NUL) or half characters.
    """
    text = value.strip()
    if not text or len(text) > longest or any(_is_unusable(character) for character in text):
        raise Invalid("text.malformed", f"{name} must have 1 to {longest} characters without control characters", field=name)
    return text


def _is_unusable(character: str) -> bool:
    code = ord(character)
    return (code < 32 and character not in "\n\t") or code == 127 or 0xD800 <= code <= 0xDFFF


def _persons() -> Any:
    org = schema.organisation.c
    return select(schema.person, org.slug.label("org_slug"), org.state.label("org_state")).outerjoin(
        schema.organisation, org.id == schema.person.c.org_id
    )


def _find_person(conn: Connection, condition: Any) -> Person:
    row = conn.execute(_persons().where(condition)).mappings().first()
    if row is None:
        raise NotFound("person.unknown", "there is no such person")
    return _person(row)


def _person(row: RowMapping) -> Person:
    return Person(
        id=row["id"],
        email=row["email"],
        name=row["name"],
        org_id=row["org_id"],
        org_slug=row["org_slug"] or "",
        role=row["role"],
        state=row["state"],
        org_state=row["org_state"] or "active",
        session_key=row["session_key"],
        has_password=row["password_hash"] is not None,
        language=row["language"],
        created_ns=row["created_ns"],
    )


def _org(row: RowMapping) -> Org:
    return Org(row["id"], row["slug"], row["name"], row["state"], row["created_ns"])


def _token(row: RowMapping) -> Token:
    return Token(row["id"], row["name"], tuple(row["scopes"].split()), row["created_ns"], row["expires_ns"], row["revoked_ns"])


def state_action(state: str, suspended: audit.Action, resumed: audit.Action) -> audit.Action:
    """What is logged of a change to this state.

    Raises: Invalid: `state.unknown`.
    """
    if state not in ("active", "suspended"):
        raise Invalid("state.unknown", f"state must be active or suspended, not {state!r}", state=state)
    return suspended if state == "suspended" else resumed


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@contextmanager
def _a_turn() -> Iterator[None]:
    """One of the few places for password work; refuses after a while instead of piling up memory."""
    if not _hashing.acquire(timeout=LOGIN_WAIT_SECONDS):
        raise Unavailable("login.busy", "too many log-ins at once; try again in a moment")
    try:
        yield
    finally:
        _hashing.release()


def _fits(stored: str, password: str) -> bool:
    from argon2 import PasswordHasher
    from argon2.exceptions import VerificationError

    with _a_turn():
        try:
            return PasswordHasher().verify(stored, password)
        except VerificationError:
            return False


def _nobody() -> str:
    """A hash that no password fits, at the cost of a real one."""
    return "$argon2id$v=19$m=65536,t=3,p=4$c29tZSBmaXhlZCBzYWx0IQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
