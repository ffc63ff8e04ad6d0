"""What a person of the log is called today: who came in without a proof of the address loses it to whoever proves it, the entries stay."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, text

from mapex.audit.log import Action
from mapex.operation.replay.kind import Payload


class Names:
    """The addresses that persons lost, each with the number of the entry that says so and the name that they have since."""

    def __init__(self, conn: Connection) -> None:
        query = text("SELECT seq, payload FROM audit_event WHERE action = :action ORDER BY seq")
        self._lost: dict[str, list[tuple[int, str]]] = {}
        for seq, written in conn.execute(query, {"action": str(Action.PERSON_DISPLACED)}):
            if (change := _change(written)) is not None:
                self._lost.setdefault(change[0], []).append((seq, change[1]))

    def of_today(self, seq: int, payload: Payload) -> Payload:
        """An entry with the names that its persons have today; whom an invitation is for is an address, and no person yet."""
        if not self._lost:
            return payload
        persons = ("person",) if payload.get("action") == Action.PERSON_INVITED else ("person", "subject")
        named = {key: self._name(seq, payload[key]) for key in persons if key in payload}
        if isinstance(users := payload.get("persons"), list):
            named["persons"] = [self._name(seq, person) for person in users]
        return {**payload, **named}

    def _name(self, seq: int, person: Any) -> Any:
        lost = self._lost.get(person, ()) if isinstance(person, str) else ()
        return next((name for at, name in lost if at >= seq), person)


def _change(written: str) -> tuple[str, str] | None:
    """The address that an entry takes away and the name that it gives; an entry that cannot be read is named where it is checked."""
    try:
        payload = json.loads(written)
        address, name = payload["subject"], payload["now"]
    except (ValueError, KeyError, TypeError):
        return None
    return (address, name) if isinstance(address, str) and isinstance(name, str) else None
