"""Organisations and their domains, persons, invitations and tokens, as the log made them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, text

from mapex.audit.log import Action
from mapex.operation.invariants.asking import Offender
from mapex.operation.replay.kind import Payload, State, differences
from mapex.operation.replay.members import Standing
from mapex.times import iso_from_ns


class Organisations(State):
    """Name and state of each organisation, and who signs its addresses (in entries that say so), by slug."""

    actions = frozenset({Action.ORG_ADDED, Action.ORG_SUSPENDED, Action.ORG_RESUMED, Action.SIGNER_RETIRED})

    def take(self, payload: Payload) -> None:
        """An organisation was added, suspended or resumed, or got another signer."""
        signer = {"signer": payload["signer"]} if "signer" in payload else {}
        if payload["action"] == Action.ORG_ADDED:
            self.made[payload["owner"]] = {"name": payload["name"], "state": "active", **signer}
        elif payload["action"] == Action.SIGNER_RETIRED:
            self.made[payload["owner"]] |= signer
        else:
            self.made[payload["owner"]]["state"] = "active" if payload["action"] == Action.ORG_RESUMED else "suspended"

    def compare(self, conn: Connection) -> Iterator[Offender]:
        """With the table."""
        rows = conn.execute(text("SELECT slug, name, state, signer FROM organisation ORDER BY slug"))
        stored = {row.slug: {"name": row.name, "state": row.state, "signer": row.signer} for row in rows}
        yield from differences("organisation", self.made, stored)


class Domains(State):
    """Whose each mail domain is."""

    actions = frozenset({Action.DOMAIN_ADDED, Action.DOMAIN_REMOVED})

    def take(self, payload: Payload) -> None:
        """A domain was entered for an organisation, or taken from it."""
        if payload["action"] == Action.DOMAIN_ADDED:
            self.made[payload["domain"]] = {"organisation": payload["owner"]}
        else:
            del self.made[payload["domain"]]

    def compare(self, conn: Connection) -> Iterator[Offender]:
        """With the table."""
        rows = conn.execute(text("SELECT d.domain, o.slug FROM org_domain d JOIN organisation o ON o.id = d.org_id ORDER BY d.domain"))
        yield from differences("domain", self.made, {row.domain: {"organisation": row.slug} for row in rows})


class Persons(State):
    """Role, organisation and state of each person, and that the address is proven where an entry says so, by e-mail."""

    actions = frozenset(
        {
            Action.PERSON_ADDED,
            Action.PERSON_SUSPENDED,
            Action.PERSON_RESUMED,
            Action.PERSON_ROLE_CHANGED,
            Action.PERSON_PROVEN,
            Action.PERSON_DISPLACED,
            Action.DOMAIN_ADDED,
        }
    )

    def take(self, payload: Payload) -> None:
        """A person was added, suspended, resumed or displaced, got another role, or the address was proven."""
        action = payload["action"]
        if action == Action.DOMAIN_ADDED:
            self._prove_under(payload["domain"], payload["owner"])
            return
        person = payload["subject"]
        if action == Action.PERSON_ADDED:
            self.made[person] = {"role": payload["role"], "organisation": payload.get("owner", ""), "state": "active"}
            # Who was invited by a member before addresses were proven is not, and no entry names that.
            if "proven" in payload or "invitation" not in payload:
                self.made[person]["proven"] = True
        elif action == Action.PERSON_PROVEN:
            self.made[person]["proven"] = True
        elif action == Action.PERSON_ROLE_CHANGED:
            # Who leaves an organisation is logged with it as owner; of auditors and operators there is none.
            of = payload["owner"] if payload["role"] == "member" else ""
            self.made[person] |= {"role": payload["role"], "organisation": of}
        else:
            self.made[person]["state"] = "active" if action == Action.PERSON_RESUMED else "suspended"

    def _prove_under(self, domain: str, org: str) -> None:
        for email, person in self.made.items():
            if person["organisation"] == org and email.endswith(f"@{domain}"):
                person["proven"] = True

    def compare(self, conn: Connection) -> Iterator[Offender]:
        """With the table."""
        query = (
            "SELECT p.email, p.role, p.state, p.proven_ns, o.slug FROM person p LEFT JOIN organisation o ON o.id = p.org_id "
            "ORDER BY p.email"
        )
        stored = {
            row.email: {
                "role": row.role,
                "organisation": row.slug or "",
                "state": row.state,
                "proven": row.proven_ns is not None,
            }
            for row in conn.execute(text(query))
        }
        yield from differences("person", self.made, stored)


class Tokens(State):
    """Whose each token is, what it may, with which it was made, when it ends (in entries that say so) and whether it was revoked, by id."""

    actions = frozenset({Action.TOKEN_CREATED, Action.TOKEN_REVOKED, *Standing.actions})

    def __init__(self) -> None:
        super().__init__()
        self._of: dict[str, list[str]] = {}
        self._made_with: dict[str, list[str]] = {}
        self._standing = Standing()

    def take(self, payload: Payload) -> None:
        """A token was made or revoked, or the standing of persons changed, which revokes all of theirs."""
        action = payload["action"]
        self._standing.take(payload)
        if action == Action.TOKEN_CREATED:
            self._make(payload)
        elif action == Action.TOKEN_REVOKED:
            self._revoke([payload["token"]])
        elif action in (Action.PERSON_ROLE_CHANGED, Action.PERSON_DISPLACED):  # these always did
            self._revoke(self._of.pop(payload["subject"], []))
        else:
            for person in self._standing.ended(payload, "tokens_revoked"):
                self._revoke(self._of.pop(person, []))

    def _make(self, payload: Payload) -> None:
        token, parent = payload["token"], payload.get("parent", "")
        made = {"person": payload["subject"], "scopes": " ".join(payload["scopes"]), "parent": parent, "revoked": False}
        self.made[token] = made | ({"end": payload["expires"]} if "expires" in payload else {})
        self._of.setdefault(payload["subject"], []).append(token)
        if parent:
            self._made_with.setdefault(parent, []).append(token)

    def _revoke(self, tokens: Iterable[str]) -> None:
        """These, and what was made with them, and with that."""
        waiting = list(tokens)
        while waiting:
            token = waiting.pop()
            self.made[token]["revoked"] = True
            waiting += self._made_with.pop(token, [])

    def compare(self, conn: Connection) -> Iterator[Offender]:
        """With the table."""
        query = (
            "SELECT t.id, p.email, t.scopes, t.parent_id, t.revoked_ns, t.expires_ns FROM api_token t JOIN person p ON p.id = t.person_id "
            "ORDER BY t.id"
        )
        stored = {
            row.id: {
                "person": row.email,
                "scopes": row.scopes,
                "parent": row.parent_id or "",
                "revoked": row.revoked_ns is not None,
                "end": iso_from_ns(row.expires_ns),
            }
            for row in conn.execute(text(query))
        }
        yield from differences("token", self.made, stored)


class Invitations(State):
    """Whom each invitation is for, as what, made with which token, and that it ended where an entry says so, by id."""

    actions = frozenset({Action.PERSON_INVITED, Action.INVITATION_REVOKED, *Standing.actions})

    def __init__(self, tokens: Tokens) -> None:
        super().__init__()
        self._tokens = tokens
        self._inviter: dict[str, str] = {}
        self._standing = Standing()

    def take(self, payload: Payload) -> None:
        """An invitation was made, taken back or redeemed, or the standing of who made it changed."""
        self._standing.take(payload)
        if payload["action"] == Action.PERSON_INVITED:
            self.made[payload["invitation"]] = {
                "person": payload["subject"],
                "role": payload["role"],
                "organisation": payload.get("owner", ""),
                "token": payload.get("token", ""),
            }
            self._inviter[payload["invitation"]] = payload["person"]
        elif "invitation" in payload:
            self.made[payload["invitation"]]["ended"] = True
        else:
            self._end(payload)

    def _end(self, payload: Payload) -> None:
        persons = set(self._standing.ended(payload, "invitations_ended"))
        is_of_org = payload["action"] in (Action.ORG_SUSPENDED, Action.ORG_RESUMED) and "invitations_ended" in payload
        for key, made in self.made.items():
            if self._inviter[key] in persons or (is_of_org and made["organisation"] == payload["owner"]):
                made["ended"] = True

    def compare(self, conn: Connection) -> Iterator[Offender]:
        """With the table; what was made with a token that is revoked has ended."""
        for made in self.made.values():
            if self._tokens.made.get(made["token"], {}).get("revoked"):
                made["ended"] = True
        query = (
            "SELECT i.id, i.email, i.role, i.token_id, i.ended_ns, o.slug FROM invitation i LEFT JOIN organisation o ON o.id = i.org_id "
            "ORDER BY i.id"
        )
        stored = {
            row.id: {
                "person": row.email,
                "role": row.role,
                "organisation": row.slug or "",
                "token": row.token_id or "",
                "ended": row.ended_ns is not None,
            }
            for row in conn.execute(text(query))
        }
        yield from differences("invitation", self.made, stored)
