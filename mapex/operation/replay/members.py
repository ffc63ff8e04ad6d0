"""Of which organisation each person is, while the log is read: what happens to an organisation happens to its persons."""

from __future__ import annotations

from mapex.audit.log import Action
from mapex.operation.replay.kind import Payload


class Members:
    """The persons by organisation, after the entries taken so far; persons by the names that they have today."""

    actions = frozenset({Action.PERSON_ADDED, Action.PERSON_ROLE_CHANGED})

    def __init__(self) -> None:
        self._org: dict[str, str] = {}

    def take(self, payload: Payload) -> None:
        """A person was added or got another role; anything else changes nothing here."""
        if payload["action"] == Action.PERSON_ADDED:
            self._org[payload["subject"]] = payload.get("owner", "")
        elif payload["action"] == Action.PERSON_ROLE_CHANGED:  # who leaves an organisation is logged with it as owner
            self._org[payload["subject"]] = payload["owner"] if payload["role"] == "member" else ""

    def of(self, org: str) -> list[str]:
        """The persons of an organisation."""
        return [person for person, theirs in self._org.items() if theirs == org]


class Standing(Members):
    """As `Members`; and whose tokens and invitations an entry ends, where it says that it does."""

    actions = Members.actions | {
        *(Action.PERSON_SUSPENDED, Action.PERSON_RESUMED, Action.PERSON_DISPLACED),
        *(Action.ORG_SUSPENDED, Action.ORG_RESUMED),
    }

    def ended(self, payload: Payload, counted: str) -> list[str]:
        """The persons for whom an entry ended what its member `counted` counts; versions before ended less, and did not count it."""
        if payload["action"] not in self.actions or counted not in payload:
            return []
        return self.of(payload["owner"]) if payload["action"] in (Action.ORG_SUSPENDED, Action.ORG_RESUMED) else [payload["subject"]]
