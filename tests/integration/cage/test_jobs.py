"""Jobs: once, in order, by one worker at a time; what a worker that lost its lease still says is refused."""

import threading

import pytest

from mapex.audit import log
from mapex.catalogue import datasets, drafts, requests
from mapex.errors import Conflict, Denied, NotFound
from mapex.exchange import Actor, Exchange
from mapex.intake import jobs
from mapex.intake.jobs import JobProgress
from tests.support.exchange import Clock, a_claimed_job, a_draft, a_person, a_tile, an_upload


@pytest.fixture
def seller(exchange: Exchange) -> Actor:
    return a_person(exchange, "hanbit")


def clock(ex: Exchange) -> Clock:
    assert isinstance(ex.now, Clock)
    return ex.now


def queue(ex: Exchange, by: Actor, dataset: str = "seoul") -> jobs.Job:
    datasets.create_dataset(ex, by, dataset)
    return requests.start_version(ex, by, dataset, [an_upload(ex, by).id])[1]


def test_jobs_are_taken_in_the_order_of_their_coming(exchange: Exchange, seller: Actor) -> None:
    queued = [queue(exchange, seller, f"d{n}").id for n in range(4)]
    taken = []
    while job := jobs.claim(exchange, "w"):
        taken.append(job.id)
        jobs.finish(exchange, job)
    assert taken == queued


def test_a_hundred_jobs_of_one_firm_delay_another_by_one_job_at_most(exchange: Exchange, seller: Actor) -> None:
    flood = [queue(exchange, seller, f"d{n}").id for n in range(20)]
    assert jobs.claim(exchange, "w1") is not None
    late = queue(exchange, a_person(exchange, "dongil"))
    assert (taken := jobs.claim(exchange, "w2")) is not None
    assert taken.id == late.id
    jobs.finish(exchange, taken)
    again = queue(exchange, a_person(exchange, "dongil"), "again")
    order = []
    while job := jobs.claim(exchange, "w2"):
        order.append(job.id)
        jobs.finish(exchange, job)
    assert order[0] == again.id, "who has fewer jobs in work comes first"
    assert order[1:] == flood[1:]


def test_a_firm_whose_jobs_fail_again_and_again_gets_no_more_turns_than_others(exchange: Exchange, seller: Actor) -> None:
    """A job that is given back, or whose worker dies, has used its turn as much as one that ends."""
    for n in range(5):
        queue(exchange, seller, f"bad{n}")
    other = a_person(exchange, "dongil")
    good = [queue(exchange, other, f"good{n}").id for n in range(3)]
    order = []
    for _ in range(6):
        job = jobs.claim(exchange, "w")
        assert job is not None
        order.append(job.id in good)
        jobs.finish(exchange, job) if job.id in good else jobs.fail(exchange, job, "reader.crashed", "again", again_in_s=0)
    assert order == [False, True] * 3


def test_many_workers_do_each_job_once(exchange: Exchange, seller: Actor) -> None:
    queued = {queue(exchange, seller, f"d{n}").id for n in range(12)}
    taken: list[str] = []
    failed: list[BaseException] = []

    def work(name: str) -> None:
        try:
            while job := jobs.claim(exchange, name):
                taken.append(job.id)
                jobs.finish(exchange, job)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert sorted(taken) == sorted(queued)


def test_a_leased_job_is_taken_again_only_when_its_worker_falls_silent(exchange: Exchange, seller: Actor) -> None:
    first = a_claimed_job(exchange, seller)
    assert jobs.claim(exchange, "w2") is None
    clock(exchange).forward(seconds=exchange.settings.lease_seconds - 1)
    jobs.renew(exchange, first, JobProgress("read", 3, 10, "map.osm"))
    clock(exchange).forward(seconds=exchange.settings.lease_seconds - 1)
    assert jobs.claim(exchange, "w2") is None
    clock(exchange).forward(seconds=2)
    second = jobs.claim(exchange, "w2")
    assert second is not None
    assert (second.id, second.attempts, second.worker) == (first.id, 2, "w2")


def test_whatever_a_worker_says_after_its_lease_was_lost_is_refused(exchange: Exchange, seller: Actor) -> None:
    stale = a_claimed_job(exchange, seller)
    clock(exchange).forward(seconds=exchange.settings.lease_seconds + 1)
    fresh = jobs.claim(exchange, "w2")
    assert fresh is not None
    for say in (
        lambda: jobs.renew(exchange, stale),
        lambda: jobs.finish(exchange, stale),
        lambda: jobs.fail(exchange, stale, "x.y", "no"),
        lambda: jobs.release(exchange, stale),
        lambda: drafts.store_draft(exchange, stale, a_draft([a_tile(1)])),
    ):
        with pytest.raises(jobs.Lost):
            say()
    assert jobs.get(exchange, seller, fresh.id) == fresh
    version = drafts.store_draft(exchange, fresh, a_draft([a_tile(1)]))
    assert version.state == "draft"
    with pytest.raises(jobs.Lost):
        drafts.store_draft(exchange, stale, a_draft([a_tile(2)]))


def test_the_same_worker_name_does_not_revive_an_old_claim(exchange: Exchange, seller: Actor) -> None:
    stale = a_claimed_job(exchange, seller, worker="w")
    clock(exchange).forward(seconds=exchange.settings.lease_seconds + 1)
    assert jobs.claim(exchange, "w") is not None
    with pytest.raises(jobs.Lost):
        jobs.finish(exchange, stale)


def test_finishing_twice_changes_nothing(exchange: Exchange, seller: Actor) -> None:
    job = a_claimed_job(exchange, seller)
    jobs.finish(exchange, job)
    jobs.finish(exchange, job)
    assert jobs.get(exchange, seller, job.id).state == "done"


def test_a_job_that_kills_its_workers_is_failed_with_a_reason(exchange: Exchange, seller: Actor) -> None:
    job = a_claimed_job(exchange, seller)
    jobs.renew(exchange, job, JobProgress("read", 1, 2, "bomb.laz"))
    for _ in range(exchange.settings.job_attempts - 1):
        clock(exchange).forward(seconds=exchange.settings.lease_seconds + 1)
        assert jobs.claim(exchange, "w2") is not None
    clock(exchange).forward(seconds=exchange.settings.lease_seconds + 1)
    assert jobs.claim(exchange, "w3") is None
    failed = jobs.get(exchange, seller, job.id)
    assert failed.state == "failed"
    assert failed.error is not None
    assert failed.error["code"] == "job.attempts"
    assert "bomb.laz" in failed.error["message"]
    assert datasets.get_version(exchange, seller, "seoul").state == "failed"


def test_a_failure_is_tried_again_later_while_attempts_are_left(exchange: Exchange, seller: Actor) -> None:
    job = a_claimed_job(exchange, seller)
    waiting = jobs.fail(exchange, job, "store.unavailable", "away", again_in_s=10)
    assert waiting.state == "queued"
    assert waiting.error == {"code": "store.unavailable", "message": "away"}
    assert jobs.claim(exchange, "w") is None
    clock(exchange).forward(seconds=11)
    again = jobs.claim(exchange, "w")
    assert again is not None
    assert again.attempts == 2
    assert jobs.fail(exchange, again, "reader.crashed", "no use").state == "failed"
    assert datasets.get_version(exchange, seller, "seoul").state == "failed"


def test_a_worker_that_shuts_down_costs_no_attempt(exchange: Exchange, seller: Actor) -> None:
    job = a_claimed_job(exchange, seller)
    for _ in range(exchange.settings.job_attempts + 2):
        jobs.release(exchange, job)
        again = jobs.claim(exchange, "w")
        assert again is not None
        job = again
    assert jobs.fail(exchange, job, "store.unavailable", "away", again_in_s=1).state == "queued"


def test_a_waiting_job_is_cancelled_at_once(exchange: Exchange, seller: Actor) -> None:
    job = queue(exchange, seller)
    assert jobs.cancel(exchange, seller, job.id).state == "cancelled"
    assert jobs.cancel(exchange, seller, job.id).state == "cancelled"
    assert jobs.claim(exchange, "w") is None
    assert datasets.get_version(exchange, seller, "seoul").state == "cancelled"
    auditor = a_person(exchange, role="auditor")
    assert len(log.events(exchange, auditor, log.EventFilter(action="job.cancelled")).events) == 1


def test_a_running_job_hears_of_its_cancellation_and_stores_nothing(exchange: Exchange, seller: Actor) -> None:
    job = a_claimed_job(exchange, seller)
    assert jobs.cancel(exchange, seller, job.id).state == "running"
    with pytest.raises(jobs.Cancelled):
        jobs.renew(exchange, job)
    with pytest.raises(jobs.Cancelled):
        drafts.store_draft(exchange, job, a_draft([a_tile(1)]))
    jobs.stopped(exchange, job)
    assert jobs.get(exchange, seller, job.id).state == "cancelled"
    found = datasets.describe(exchange, seller, "seoul")
    assert (found.version.state, found.layers) == ("cancelled", [])


def test_a_cancelled_job_whose_worker_died_ends_as_cancelled(exchange: Exchange, seller: Actor) -> None:
    job = a_claimed_job(exchange, seller)
    jobs.cancel(exchange, seller, job.id)
    clock(exchange).forward(seconds=exchange.settings.lease_seconds + 1)
    assert jobs.claim(exchange, "w2") is None
    assert jobs.get(exchange, seller, job.id).state == "cancelled"


def test_a_retried_job_runs_again_with_a_later_token(exchange: Exchange, seller: Actor) -> None:
    job = a_claimed_job(exchange, seller)
    jobs.fail(exchange, job, "reader.crashed", "no use")
    assert jobs.retry(exchange, seller, job.id).state == "queued"
    assert datasets.get_version(exchange, seller, "seoul").state == "ingesting"
    again = jobs.claim(exchange, "w2")
    assert again is not None
    assert again.attempts > job.attempts
    assert again.attempt_limit - again.attempts == exchange.settings.job_attempts - 1
    assert drafts.store_draft(exchange, again, a_draft([a_tile(1)])).state == "draft"
    with pytest.raises(Conflict) as refused:
        jobs.retry(exchange, seller, job.id)
    assert refused.value.code == "job.not_ended"
    with pytest.raises(Conflict) as ended:
        jobs.cancel(exchange, seller, job.id)
    assert ended.value.code == "job.ended"


def test_a_foreign_job_is_as_absent_as_one_that_never_was(exchange: Exchange, seller: Actor) -> None:
    job, stranger = queue(exchange, seller), a_person(exchange)
    for ask in (jobs.get, jobs.cancel, jobs.retry):
        answer = []
        for job_id in (job.id, "job_never"):
            with pytest.raises(NotFound) as refused:
                ask(exchange, stranger, job_id)
            answer.append((refused.value.code, refused.value.message, refused.value.details))
        assert answer[0] == answer[1]


def test_an_auditor_sees_jobs_and_changes_none(exchange: Exchange, seller: Actor) -> None:
    job, auditor = queue(exchange, seller), a_person(exchange, role="auditor")
    assert jobs.get(exchange, auditor, job.id) == job
    for change in (jobs.cancel, jobs.retry):
        with pytest.raises(Denied):
            change(exchange, auditor, job.id)
