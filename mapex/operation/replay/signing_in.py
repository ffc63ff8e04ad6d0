"""How people come in, as the log made it: applications, sessions, second factors, recovery codes; and what doctor found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, text

from mapex.audit.log import Action
from mapex.login import applications
from mapex.login.recovery_codes import digest_of
from mapex.operation.invariants.asking import Offender
from mapex.operation.replay.kind import Payload, State, differences
from mapex.operation.replay.members import Members
from mapex.times import iso_from_ns, ns_from_iso


class Sessions(State):
    """Whose each session is, by what it was proven and when, its last moment, and that it is over where an entry ended it, by id.

    Rows of sessions long over are forgotten, so one that is not there is no offender.
    """

    actions = frozenset(
        {
            *(Action.SESSION_OPENED, Action.SESSION_CONFIRMED, Action.SESSION_CLOSED, Action.SESSION_ENDED),
            *(Action.PERSON_ADDED, Action.PERSON_SUSPENDED, Action.PERSON_RESUMED, Action.PERSON_ROLE_CHANGED),
            *(Action.PERSON_PASSWORD_SET, Action.PERSON_DISPLACED, Action.ORG_SUSPENDED, Action.ORG_RESUMED),
            *(Action.FACTOR_ADDED, Action.FACTOR_REMOVED, Action.FACTORS_RESET),
        }
    )

    def __init__(self) -> None:
        super().__init__()
        self._open: dict[str, set[str]] = {}
        self._members = Members()

    def take(self, payload: Payload) -> None:
        """A session was opened or confirmed, or something ended one, those of a person, or those of an organisation."""
        action, at_ns = payload["action"], ns_from_iso(payload["at"])
        if action == Action.SESSION_OPENED and "session" not in payload:
            return  # of a version in which sessions were no rows
        if action == Action.SESSION_OPENED:
            end = {"end": payload["expires"]} if "expires" in payload else {}
            proof = {"factors": list(payload["factors"]), "proven_ns": at_ns}
            self.made[payload["session"]] = {"person": payload["person"], **proof, **end}
            self._open.setdefault(payload["person"], set()).add(payload["session"])
        elif action == Action.SESSION_CONFIRMED:
            made = self.made[payload["session"]]
            made |= {"factors": list(dict.fromkeys((*made["factors"], payload["factor"]))), "proven_ns": at_ns}
        elif action == Action.PERSON_ADDED:
            self._members.take(payload)
        elif action in (Action.ORG_SUSPENDED, Action.ORG_RESUMED):
            for person in self._members.of(payload["owner"]):
                self._end(self._open.get(person, ()), at_ns)
        elif "session" in payload:
            self._end([payload["session"]], at_ns)
        elif action != Action.SESSION_CLOSED:
            self._end_all(payload, at_ns)

    def _end_all(self, payload: Payload, at_ns: int) -> None:
        person, action = payload["subject"], payload["action"]
        # Of what people changed themselves older entries do not say which session went on.
        if "kept" in payload or payload["person"] != person:
            self._end(self._open.get(person, set()) - {payload.get("kept")}, at_ns)
        self._members.take(payload)
        if action == Action.PERSON_DISPLACED:
            for session in self._open.pop(person, ()):
                self.made[session]["person"] = payload["now"]

    def _end(self, sessions: Any, at_ns: int) -> None:
        for session in list(sessions):
            made = self.made[session]
            made.setdefault("over_ns", at_ns)
            self._open.get(made["person"], set()).discard(session)

    def compare(self, conn: Connection) -> Iterator[Offender]:
        """With the table. The moments of an entry and of its row are one, but for what passes between two looks at the clock."""
        stored = {}
        query = (
            "SELECT s.id, p.email, s.factors, s.proven_ns, s.ends_ns, s.ended_ns FROM session s "
            "JOIN person p ON p.id = s.person_id ORDER BY s.id"
        )
        for row in conn.execute(text(query)):
            stored[row.id] = {"person": row.email, "factors": row.factors.split(), "end": iso_from_ns(row.ends_ns)}
            made = self.made.get(row.id, {})
            if "over_ns" in made and row.ended_ns is None and row.ends_ns > made["over_ns"]:
                yield f"session {row.id} is open, and was ended by the log at {iso_from_ns(made['over_ns'])}"
            if row.proven_ns > made.get("proven_ns", row.proven_ns) + 999:  # entries tell microseconds
                yield f"session {row.id}: proven is {iso_from_ns(row.proven_ns)}, by the log {iso_from_ns(made['proven_ns'])}"
        known = {
            key: {name: value for name, value in made.items() if not name.endswith("_ns")}
            for key, made in self.made.items()
            if key in stored
        }
        yield from differences("session", known, stored)


class Factors(State):
    """Whose each second factor is, of which kind, and the digest of its key (in entries that say so), by id."""

    actions = frozenset({Action.FACTOR_ADDED, Action.FACTOR_REMOVED, Action.FACTORS_RESET, Action.PERSON_DISPLACED})

    def take(self, payload: Payload) -> None:
        """A factor was added or removed, or its person lost all of them or made room."""
        action, person = payload["action"], payload["subject"]
        if action == Action.FACTOR_ADDED:
            key = {"key": payload["key_sha256"]} if "key_sha256" in payload else {}
            self.made[payload["factor"]] = {"person": person, "kind": payload["kind"], **key}
        elif action == Action.FACTOR_REMOVED:
            del self.made[payload["factor"]]
        else:
            for factor in [factor for factor, made in self.made.items() if made["person"] == person]:
                if action == Action.FACTORS_RESET:
                    del self.made[factor]
                else:
                    self.made[factor]["person"] = payload["now"]

    def compare(self, conn: Connection) -> Iterator[Offender]:
        """With the table."""
        rows = conn.execute(text("SELECT f.*, p.email FROM second_factor f JOIN person p ON p.id = f.person_id ORDER BY f.id"))
        stored = {row.id: {"person": row.email, "kind": row.kind, "key": digest_of([row.secret, row.credential or ""])} for row in rows}
        yield from differences("second factor", self.made, stored)


class RecoveryCodes(State):
    """How many recovery codes each person got, how many were used, and the digest of all (in entries that say so), by e-mail."""

    actions = frozenset({Action.RECOVERY_MADE, Action.RECOVERY_USED, *Factors.actions})

    def __init__(self) -> None:
        super().__init__()
        self._factors: dict[str, int] = {}

    def take(self, payload: Payload) -> None:
        """Codes were made or used, or went with the last second factor."""
        action, person = payload["action"], payload["subject"]
        if action == Action.RECOVERY_MADE:
            digest = {"digest": payload["codes_sha256"]} if "codes_sha256" in payload else {}
            self.made[person] = {"codes": payload["codes"], "used": 0, **digest}
        elif action == Action.RECOVERY_USED:
            self.made[person]["used"] += 1
        elif action == Action.PERSON_DISPLACED:
            if person in self.made:
                self.made[payload["now"]] = self.made.pop(person)
            self._factors[payload["now"]] = self._factors.pop(person, 0)
        else:
            self._count(action, person)

    def _count(self, action: str, person: str) -> None:
        change = {Action.FACTOR_ADDED: 1, Action.FACTOR_REMOVED: -1}.get(Action(action), -self._factors.get(person, 0))
        self._factors[person] = self._factors.get(person, 0) + change
        if not self._factors[person]:
            self.made.pop(person, None)

    def compare(self, conn: Connection) -> Iterator[Offender]:
        """With the table."""
        query = "SELECT p.email, c.hash, c.used_ns FROM recovery_code c JOIN person p ON p.id = c.person_id ORDER BY p.email"
        hashes: dict[str, list[str]] = {}
        used: dict[str, int] = {}
        for row in conn.execute(text(query)):
            hashes.setdefault(row.email, []).append(row.hash)
            used[row.email] = used.get(row.email, 0) + (row.used_ns is not None)
        stored = {person: {"codes": len(of), "used": used[person], "digest": digest_of(sorted(of))} for person, of in hashes.items()}
        yield from differences("the recovery codes of", self.made, stored)


class Examinations(State):
    """What did not hold when `mapex doctor` attacked the exchange: while there is some, no footage leaves."""

    actions = frozenset({Action.EXCHANGE_EXAMINED})

    def __init__(self) -> None:
        super().__init__()
        self.made["of the exchange"] = {"failing": []}

    def take(self, payload: Payload) -> None:
        """Something else holds than before."""
        self.made["of the exchange"] = {"failing": payload["failing"]}

    def compare(self, conn: Connection) -> Iterator[Offender]:
        """With the table."""
        rows = conn.execute(text("SELECT name FROM examination WHERE NOT passed ORDER BY name")).scalars().all()
        yield from differences("the examination", self.made, {"of the exchange": {"failing": list(rows)}})


class Applications(State):
    """What each application states, and its state, by id; of those that were deleted nothing is left."""

    actions = frozenset(
        {
            *(Action.APPLICATION_RECEIVED, Action.APPLICATION_PROVEN, Action.APPLICATION_ACCEPTED),
            *(Action.APPLICATION_REFUSED, Action.APPLICATION_CLEARED),
        }
    )

    def take(self, payload: Payload) -> None:
        """An application came in, was proven, decided or deleted."""
        action = payload["action"]
        if action == Action.APPLICATION_RECEIVED:
            self.made[payload["application"]] = {"content": payload["content"], "state": "received"}
        elif action == Action.APPLICATION_CLEARED:
            for application in payload["applications"]:
                del self.made[application]
        else:
            self.made[payload["application"]]["state"] = action.partition(".")[2]

    def compare(self, conn: Connection) -> Iterator[Offender]:
        """With the table."""
        rows = conn.execute(text("SELECT * FROM application ORDER BY id")).mappings()
        stored = {row["id"]: {"content": applications.digest(row), "state": row["state"]} for row in rows}
        yield from differences("application", self.made, stored)
