"""Turns of organisations at the workers, against random floods: nobody waits for more than one job of each other."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from mapex.database import db, schema
from mapex.exchange import Actor
from mapex.intake import jobs
from tests.support.exchange import a_person, an_exchange

FIRMS = 3

_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("queue"), st.integers(0, FIRMS - 1)),
        st.tuples(st.sampled_from(["claim", "done", "again", "dies"]), st.integers(0, 3)),
    ),
    max_size=60,
)


@settings(max_examples=15)
@given(_STEPS)
def test_between_two_turns_of_a_firm_that_waits_no_other_has_two(steps: list[tuple[str, int]]) -> None:
    """With one worker: while a firm has a job that can be taken, another is served once at most before it."""
    with tempfile.TemporaryDirectory() as folder:
        ex = an_exchange(Path(folder))
        firms = [a_person(ex, f"firm{n}") for n in range(FIRMS)]
        served_meanwhile: dict[str, list[str]] = {}  # of each firm that waits, who was served since
        for what, which in steps:
            if what == "queue":
                _queue(ex, firms[which])
                continue
            waiting = _waiting(ex)
            job = jobs.claim(ex, "w")
            assert (job is None) == (not waiting)
            if job is None:
                continue
            for org in waiting - {job.org_id}:
                served_meanwhile.setdefault(org, []).append(job.org_id)
                assert len(set(served_meanwhile[org])) == len(served_meanwhile[org])
            served_meanwhile.pop(job.org_id, None)
            if what == "again":
                jobs.fail(ex, job, "reader.crashed", "again", again_in_s=0)
            elif what == "dies":
                with db.begin(ex) as conn:
                    conn.execute(update(schema.job).where(schema.job.c.id == job.id).values(lease_until_ns=0))
            else:
                jobs.finish(ex, job)
        ex.engine.dispose()


def _queue(ex: object, by: Actor) -> None:
    with db.begin(ex) as conn:  # type: ignore[arg-type]
        jobs.enqueue(conn, ex, by, "ingest")  # type: ignore[arg-type]


def _waiting(ex: object) -> set[str]:
    """Organisations of which a job can be taken and is not tried too often."""
    job = schema.job.c
    with db.read(ex) as conn:  # type: ignore[arg-type]
        rows = conn.execute(schema.job.select().where(job.state.in_(("queued", "running")), job.attempts < job.attempt_limit))
        return {row.org_id for row in rows}
