"""The one-line filter of the audit pages: read, written, and refused where it is not understood."""

from __future__ import annotations

import pytest

from mapex.errors import Invalid
from web.pages import audit_filter
from web.pages.audit_filter import iso_kst, ns_from_text, read


def test_a_line_is_read_and_written_again() -> None:
    asked = read('actor:kim@dongil.example  permit:"KR 7 (a)" action:access.granted from:2026-11-17')
    assert asked.text == 'actor:kim@dongil.example permit:"KR 7 (a)" action:access.granted from:2026-11-17'
    found = asked.filter
    assert (found.person, found.org, found.permit, found.action) == ("kim@dongil.example", "", "KR 7 (a)", "access.granted")
    assert read(asked.text) == asked


def test_an_actor_is_a_person_or_an_organisation() -> None:
    assert read("actor:dongil").filter.org == "dongil"
    assert read("actor:a@b.example").filter.person == "a@b.example"


def test_times_without_a_zone_are_korean() -> None:
    assert ns_from_text("2026-11-17") == ns_from_text("2026-11-16T15:00:00Z") == 1_794_841_200 * 10**9
    assert iso_kst(ns_from_text("2026-11-17T04:30")) == "2026-11-17T04:30:00+09:00"
    assert read("from:2026-11-17 to:2026-11-18").filter.to_ns == ns_from_text("2026-11-18")


def test_the_last_of_a_field_counts_and_an_empty_value_is_no_filter() -> None:
    assert read("tile:1 tile:13").text == "tile:13"
    assert read('tile:"" flag:any').text == "flag:any"
    assert read("").query == "?q="
    assert read("flag:any").query == "?q=flag%3Aany"


def test_the_same_filter_as_a_query_of_the_api() -> None:
    assert read("actor:dongil from:2026-11-17").api == "org=dongil&from=2026-11-17T00%3A00%3A00%2B09%3A00"
    assert read("class:original region:127.1,37.4").api == "class=original&region=127.1%2C37.4"


@pytest.mark.parametrize(("text", "code"), [("hello", "audit.query"), ("colour:red", "audit.query"), ("from:soon", "time.malformed")])
def test_what_is_not_understood_is_refused(text: str, code: str) -> None:
    with pytest.raises(Invalid) as raised:
        _ = read(text).filter
    assert raised.value.code == code


def test_fields_are_set_and_taken_away() -> None:
    asked = read("flag:any tile:1")
    assert asked.with_("tile", "2").text == "flag:any tile:2"
    assert asked.without("flag").text == "tile:1"
    assert set(audit_filter.FIELDS) >= {"actor", "action", "purpose", "tile", "permit", "from", "to", "flag"}
