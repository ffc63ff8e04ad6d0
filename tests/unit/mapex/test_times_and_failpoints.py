"""Times as text and back; failpoints do nothing unless armed, and refuse names that are gone."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapex.database import failpoints
from mapex.errors import Invalid
from mapex.times import iso_from_ns, ns_from_iso


@given(st.integers(0, 4_000_000_000_000_000))
def test_times_survive_the_round_trip_to_the_microsecond(us: int) -> None:
    assert ns_from_iso(iso_from_ns(us * 1000)) == us * 1000


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01", 0),
        ("1970-01-01T00:00:01Z", 10**9),
        ("1970-01-01T09:00:00+09:00", 0),
        ("1970-01-01T00:00:00.000001", 1000),
    ],
)
def test_dates_and_zones_are_understood(text: str, ns: int) -> None:
    assert ns_from_iso(text) == ns


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-13-01", "2026-02-30", "1e9", "2026-01-01T25:00"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        ns_from_iso(text)
    assert refused.value.code == "time.malformed"


@pytest.mark.parametrize("text", ["9999-12-31", "2262-01-01", "1677-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"])
def test_what_64_bits_of_nanoseconds_do_not_reach_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        ns_from_iso(text)
    assert refused.value.code == "time.range"
    assert all(-(2**63) < ns_from_iso(end) < 2**63 for end in ("1678-01-01T00:00:00+14:00", "2261-12-31T23:59:59-14:00"))


def test_text_ends_in_z() -> None:
    assert iso_from_ns(1_790_000_000_123_456_789) == "2026-09-21T14:13:20.123456Z"


def test_an_unarmed_point_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAPEX_FAILPOINT", raising=False)
    failpoints.hit("draft.before_commit")


def test_the_nth_passing_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failpoints, "_passed", {})
    monkeypatch.setenv("MAPEX_FAILPOINT", "draft.before_commit:raise:2")
    failpoints.hit("draft.before_commit")
    failpoints.hit("draft.after_commit")
    with pytest.raises(failpoints.Failpoint):
        failpoints.hit("draft.before_commit")


@pytest.mark.parametrize("armed", ["gone:kill", "draft.before_commit", "draft.before_commit:explode", "draft.before_commit:kill:x"])
def test_a_test_cannot_wait_for_a_point_that_is_not_there(monkeypatch: pytest.MonkeyPatch, armed: str) -> None:
    monkeypatch.setenv("MAPEX_FAILPOINT", armed)
    with pytest.raises(ValueError, match="MAPEX_FAILPOINT"):
        failpoints.hit("draft.before_commit")


def test_kill_is_a_kill() -> None:
    program = "from mapex.database import failpoints; failpoints.hit('draft.before_commit'); print('alive')"
    run = subprocess.run(
        [sys.executable, "-c", program], env={"MAPEX_FAILPOINT": "draft.before_commit:kill"}, capture_output=True, check=False
    )
    assert (run.returncode, run.stdout) == (-9, b"")
