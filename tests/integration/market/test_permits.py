"""Permits: who may receive what, where, when, for which purpose; each refusal with its code."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from mapex.audit import log
from mapex.database import db
from mapex.errors import Conflict, Denied, Invalid, NotFound
from mapex.exchange import Exchange
from mapex.people import orgs
from mapex.rights import permit_check, permits
from mapex.rights.permit import Permit
from mapex.rights.permit_check import Decision, Use
from tests.support.exchange import DAY_ONE, Clock, a_permit, a_person, an_org, square
from tiles.arrays import UInt64s
from tiles.box import Box
from tiles.errors import InvalidRegion
from tiles.grid import grid
from tiles.grid.cover import Cover
from tiles.grid.region import Region
from tiles.grid.scan import cover

INSIDE = grid.cells_at([127.0], [37.5])
OUTSIDE = grid.cells_at([129.0], [35.1])


def check(
    ex: Exchange, org: str, cells: UInt64s = INSIDE, *, purpose: str | None = "research", handling_class: str = "original"
) -> Decision:
    with db.read(ex) as conn:
        use = Use(orgs.find_org(conn, org).id, purpose, ex.now())
        return permit_check.check(conn, use, handling_class, Cover.from_cells(cells))


def code_of(decision: Decision) -> str:
    assert decision.refusal is not None
    return decision.refusal.code


def refused_cells(decision: Decision) -> list[int]:
    assert decision.refusal is not None
    found: list[int] = decision.refusal.cells.cells().tolist()
    return found


@pytest.mark.parametrize("handling_class", ["open", "pseudonymised"])
def test_open_and_pseudonymised_data_need_no_permit(exchange: Exchange, handling_class: str) -> None:
    an_org(exchange, "dongil")
    assert check(exchange, "dongil", handling_class=handling_class) == Decision(None, Cover.from_cells(INSIDE))


@pytest.mark.parametrize("handling_class", ["restricted", "original"])
def test_without_permit_restricted_and_original_data_are_refused(exchange: Exchange, handling_class: str) -> None:
    an_org(exchange, "dongil")
    decision = check(exchange, "dongil", handling_class=handling_class)
    assert code_of(decision) == "permit.missing"
    assert decision.permit is None
    assert refused_cells(decision) == INSIDE.tolist()


def test_a_permit_that_fits_allows_and_is_named(exchange: Exchange) -> None:
    permit = a_permit(exchange, "dongil")
    decision = check(exchange, "dongil")
    assert decision.is_allowed
    assert decision.permit == permit


@pytest.mark.parametrize(
    ("given", "asked", "code"),
    [
        ({"valid_to_ns": DAY_ONE - 1, "valid_from_ns": DAY_ONE - 10}, {}, "permit.expired"),
        ({"valid_from_ns": DAY_ONE + 10**18}, {}, "permit.not_yet"),
        ({"purposes": ("simulation",)}, {}, "permit.purpose"),
        ({"classes": ("restricted",)}, {}, "permit.missing"),
        ({}, {"cells": OUTSIDE}, "permit.area"),
    ],
)
def test_each_way_to_miss_has_its_code(exchange: Exchange, given: dict[str, object], asked: dict[str, object], code: str) -> None:
    a_permit(exchange, "dongil", **given)
    decision = check(exchange, "dongil", **asked)  # type: ignore[arg-type]
    assert code_of(decision) == code
    assert decision.permit is None
    assert decision.refusal is not None and "{" not in decision.refusal.sentence


def test_permit_of_another_firm_is_as_if_it_were_not(exchange: Exchange) -> None:
    a_permit(exchange, "hanbit", number="P-9")
    an_org(exchange, "dongil")
    decision = check(exchange, "dongil")
    assert code_of(decision) == "permit.missing"
    assert decision.refusal is not None and "P-9" not in decision.refusal.sentence


def test_a_permit_that_names_others_allows_nothing_whoever_asks(exchange: Exchange) -> None:
    permit = a_permit(exchange, "hanbit", number="P-9")
    use = Use(an_org(exchange, "dongil").id, "research", exchange.now())
    assert code_of(permit_check.decide([permit], use, "original", Cover.from_cells(INSIDE))) == "permit.recipient"


def test_a_recipient_receives_under_the_holders_permit(exchange: Exchange) -> None:
    an_org(exchange, "nuri")
    a_permit(exchange, "hanbit", recipients=("nuri",))
    assert check(exchange, "nuri").is_allowed


def test_a_firm_whose_name_is_part_of_a_recipients_name_receives_nothing(exchange: Exchange) -> None:
    an_org(exchange, "nuri-labs")
    an_org(exchange, "nuri")
    a_permit(exchange, "hanbit", recipients=("nuri-labs",))
    assert code_of(check(exchange, "nuri")) == "permit.missing"


def test_suspended_permit_stops_at_once_and_resumes(exchange: Exchange) -> None:
    permit = a_permit(exchange, "dongil")
    permits.set_state(exchange, None, permit.number, "suspended")
    assert code_of(check(exchange, "dongil")) == "permit.suspended"
    permits.set_state(exchange, None, permit.number, "active")
    assert check(exchange, "dongil").is_allowed
    permits.set_state(exchange, None, permit.number, "revoked")
    with pytest.raises(Conflict):
        permits.set_state(exchange, None, permit.number, "active")


def test_permit_ends_on_the_exact_nanosecond(exchange: Exchange) -> None:
    a_permit(exchange, "dongil", valid_from_ns=DAY_ONE, valid_to_ns=DAY_ONE + 10**9)
    clock = exchange.now
    assert isinstance(clock, Clock)
    with db.read(exchange) as conn:
        org_id = orgs.find_org(conn, "dongil").id
        for at_ns, allowed in ((DAY_ONE - 1, False), (DAY_ONE, True), (DAY_ONE + 10**9 - 1, True), (DAY_ONE + 10**9, False)):
            use = Use(org_id, "research", at_ns)
            assert permit_check.check(conn, use, "original", Cover.from_cells(INSIDE)).is_allowed is allowed


def test_part_of_an_area_is_refused_cell_by_cell(exchange: Exchange) -> None:
    a_permit(exchange, "dongil")
    decision = check(exchange, "dongil", np.concatenate([INSIDE, OUTSIDE]))
    assert decision.permit is not None
    assert code_of(decision) == "permit.area"
    assert refused_cells(decision) == OUTSIDE.tolist()


def test_of_two_permits_the_one_that_allows_is_taken(exchange: Exchange) -> None:
    a_permit(exchange, "dongil", number="old", valid_from_ns=1, valid_to_ns=2)
    a_permit(exchange, "dongil", number="small", area=square(126.99, 37.49, 127.01, 37.51))
    large = a_permit(exchange, "dongil", number="large")
    decision = check(exchange, "dongil", grid.cells_at([127.0, 126.5], [37.5, 37.6]))
    assert decision.permit == large
    assert decision.is_allowed


def test_a_cell_on_the_edge_of_the_area_is_refused(exchange: Exchange) -> None:
    """What a tile shows beyond the edge would be read without permission."""
    west, south, east, north = grid.bounds(int(INSIDE[0]))
    a_permit(exchange, "dongil", area=square(west, south, east, (south + north) / 2))
    assert code_of(check(exchange, "dongil")) == "permit.area"


def test_estimate_without_purpose_takes_any_that_the_permit_allows(exchange: Exchange) -> None:
    a_permit(exchange, "dongil", purposes=("simulation",))
    assert check(exchange, "dongil", purpose=None).is_allowed


RING = shapely.Polygon(
    [(126.9, 37.4), (127.1, 37.42), (127.08, 37.6), (126.95, 37.55)], [[(126.98, 37.48), (127.02, 37.48), (127.0, 37.52)]]
)


@given(st.floats(126.8, 127.1), st.floats(37.35, 37.6), st.floats(0.01, 0.15), st.floats(0.01, 0.15))
def test_cells_inside_are_those_that_shapely_finds_one_by_one(west: float, south: float, width: float, height: float) -> None:
    wanted = cover(Region.from_bbox(west, south, west + width, south + height))
    permit = Permit("", "", "", "", "", (), (), shapely.to_geojson(RING), (), frozenset(), 0, 0, "active", 0)
    cells = wanted.cells()
    expected = cells[shapely.covers(RING, shapely.box(*grid.bounds_of(cells).T))]
    assert permit_check.cells_inside(permit, wanted) == Cover.from_cells(expected)


def test_only_operators_enter_and_stop_permits(exchange: Exchange) -> None:
    permit = a_permit(exchange, "dongil")
    for by in (a_person(exchange, "dongil"), a_person(exchange, role="auditor")):
        with pytest.raises(Denied):
            permits.set_state(exchange, by, permit.number, "suspended")
    operator = a_person(exchange, role="operator")
    permits.set_state(exchange, operator, permit.number, "suspended")
    done = [
        (event.action, event.permit, event.owner) for event in log.events(exchange, operator, log.EventFilter(permit=permit.number)).events
    ]
    assert done == [("permit.suspended", permit.number, "dongil"), ("permit.added", permit.number, "dongil")]


def test_members_see_permits_that_name_them_only(exchange: Exchange) -> None:
    holder, stranger = a_person(exchange, "dongil"), a_person(exchange, "other")
    permit = a_permit(exchange, "dongil")
    assert permits.all_permits(exchange, holder) == [permit]
    assert permits.all_permits(exchange, stranger) == []
    assert permits.all_permits(exchange, a_person(exchange, role="auditor")) == [permit]
    for number in (permit.number, "absent"):
        with pytest.raises(NotFound) as refused:
            permits.get(exchange, stranger, number)
        assert refused.value.message == "There is no such permit."


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"purposes": ("fun",)}, "purpose.unknown"),
        ({"classes": ("secret",)}, "class.unknown"),
        ({"purposes": ()}, "permit.empty"),
        ({"valid_from_ns": 5, "valid_to_ns": 5}, "permit.period"),
        ({"area": {"type": "Point", "coordinates": [127, 37]}}, "permit.area_missing"),
        ({"area": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}}, "region.crossing"),
        ({"number": " "}, "text.malformed"),
        ({"rule_set": "foo-bar"}, "permit.rule_set"),
    ],
)
def test_permits_that_say_nothing_or_nonsense_are_refused(exchange: Exchange, given: dict[str, object], code: str) -> None:
    with pytest.raises((Invalid, InvalidRegion)) as refused:
        a_permit(exchange, "dongil", **given)
    assert refused.value.code == code


def test_a_number_is_entered_once(exchange: Exchange) -> None:
    a_permit(exchange, "dongil", number="P-1")
    with pytest.raises(Conflict) as refused:
        a_permit(exchange, "dongil", number="P-1")
    assert refused.value.code == "permit.exists"


def test_permits_are_found_by_the_box_that_their_area_meets(exchange: Exchange) -> None:
    def around(lon: float, lat: float) -> dict[str, object]:
        ring = [[lon - 0.1, lat], [lon, lat + 0.1], [lon + 0.1, lat], [lon, lat - 0.1], [lon - 0.1, lat]]
        return {"type": "Polygon", "coordinates": [ring]}

    org = an_org(exchange)
    for number, lon in (("KR-SEOUL", 127.0), ("KR-BUSAN", 129.0)):
        a_permit(exchange, org.slug, number=number, area=around(lon, 37.0))
    assert [p.number for p in permits.all_permits(exchange, box=Box(126.99, 36.99, 127.01, 37.01))] == ["KR-SEOUL"]
    # The corner of the box of the diamond: its box is hit, its area is not.
    assert permits.all_permits(exchange, box=Box(127.09, 37.09, 127.1, 37.1)) == []
    assert len(permits.all_permits(exchange, box=Box(126.0, 36.0, 130.0, 38.0))) == 2
    a_permit(exchange, org.slug, number="KR-GUMI", area=around(128.3, 36.1))  # entered after the index was made
    assert [p.number for p in permits.all_permits(exchange, box=Box(128.0, 36.0, 130.0, 38.0))] == ["KR-BUSAN", "KR-GUMI"]
    assert len(permits.all_permits(exchange, a_person(exchange, org), box=Box(126.0, 36.0, 130.0, 38.0))) == 3
    assert permits.all_permits(exchange, a_person(exchange, an_org(exchange)), box=Box(126.0, 36.0, 130.0, 38.0)) == []
