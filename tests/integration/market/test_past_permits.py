"""The permit of an entry is shown as it was then: from the entries of the log, whatever became of it since."""

from __future__ import annotations

from sqlalchemy import func, select

from mapex.audit.log import Action
from mapex.database import db, schema
from mapex.exchange import Exchange
from mapex.rights import past, permits
from tests.support.exchange import a_permit, a_person, an_org


def newest(ex: Exchange) -> int:
    with db.read(ex) as conn:
        return int(conn.execute(select(func.max(schema.audit_event.c.seq))).scalar_one())


def test_a_permit_is_shown_as_it_was_at_each_entry(exchange: Exchange) -> None:
    auditor = a_person(exchange, role="auditor")
    an_org(exchange, "nuri")
    before = newest(exchange)
    given = a_permit(exchange, "dongil", number="KR-1", recipients=("nuri",))
    states = [(newest(exchange), "active")]
    for state in ("suspended", "active", "revoked"):
        permits.set_state(exchange, None, "KR-1", state)
        states.append((newest(exchange), state))
    a_permit(exchange, "dongil", number="KR-2")  # entries about another one

    assert past.as_of(exchange, auditor, "KR-1", before) is None
    for changes, (seq, state) in enumerate(states, start=1):
        found = past.as_of(exchange, auditor, "KR-1", seq)
        assert found is not None
        assert found.permit.state == state
        assert len(found.made_by) == changes
        assert found.made_by[-1] <= seq
        assert found.has_area
        assert (found.permit.org, found.permit.recipients, found.permit.purposes) == (given.org, ("nuri",), given.purposes)
        assert (found.permit.valid_from_ns, found.permit.valid_to_ns) == (given.valid_from_ns, given.valid_to_ns)
    assert past.as_of(exchange, auditor, "KR-3", newest(exchange)) is None


def test_what_the_log_says_of_a_permit_is_shown_and_not_what_is_stored(exchange: Exchange) -> None:
    auditor = a_person(exchange, role="auditor")
    given = a_permit(exchange, "dongil", number="KR-1")
    with db.begin(exchange) as conn:
        other = given.area_text.replace("128.0", "129.0")
        assert other != given.area_text
        changed = {"state": "revoked", "purposes": '["simulation"]', "area": other}
        conn.execute(schema.permit.update().values(**changed))
    found = past.as_of(exchange, auditor, "KR-1", newest(exchange))
    assert found is not None
    assert (found.permit.state, found.permit.purposes) == ("active", ("research",))
    assert not found.has_area  # another area than the one that was committed to


def test_every_change_of_a_permit_has_its_state() -> None:
    changes = {action for action in Action if action.startswith("permit.") and not action.startswith("permit.request")}
    assert {*past.STATES, Action.PERMIT_ADDED} == changes  # a request for a permit is none yet
