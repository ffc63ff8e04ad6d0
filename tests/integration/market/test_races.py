"""Two at once: one version number each, one publication, one effect."""

import threading
from collections.abc import Callable
from typing import Any

from mapex.audit import log
from mapex.catalogue import datasets, requests
from mapex.errors import Conflict
from mapex.exchange import Exchange
from mapex.intake import uploads
from mapex.people import orgs
from tests.support.exchange import a_drafted_version, a_person, an_upload, publish, send_part


def at_once(works: list[Callable[[], Any]]) -> list[Any]:
    """Results (or errors) of all, begun together."""
    gate = threading.Barrier(len(works))
    results: list[Any] = [None] * len(works)

    def go(n: int) -> None:
        gate.wait()
        try:
            results[n] = works[n]()
        except Exception as error:
            results[n] = error

    threads = [threading.Thread(target=go, args=(n,)) for n in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_versions_that_start_together_get_numbers_of_their_own(exchange: Exchange) -> None:
    seller = a_person(exchange, "hanbit")
    datasets.create_dataset(exchange, seller, "seoul")
    sent = [an_upload(exchange, seller, f"{n}.osm") for n in range(5)]
    started = at_once(
        [lambda upload=upload: requests.start_version(exchange, seller, "seoul", [upload.id], classes="open") for upload in sent]
    )
    assert sorted(version.number for version, _ in started) == [1, 2, 3, 4, 5]


def test_the_same_version_started_five_times_together_is_one(exchange: Exchange) -> None:
    seller = a_person(exchange, "hanbit")
    datasets.create_dataset(exchange, seller, "seoul")
    upload = an_upload(exchange, seller)
    started = at_once([lambda: requests.start_version(exchange, seller, "seoul", [upload.id], classes="open")] * 5)
    assert {version.id for version, _ in started} == {started[0][0].id}


def test_published_by_five_together_it_is_published_once(exchange: Exchange) -> None:
    seller = a_person(exchange, "hanbit")
    a_drafted_version(exchange, seller)
    done = at_once([lambda: publish(exchange, seller)] * 5)
    assert sorted(publication.is_new for publication in done) == [False] * 4 + [True]
    auditor = a_person(exchange, role="auditor")
    assert len(log.events(exchange, auditor, log.EventFilter(action="version.published")).events) == 1


def test_a_dataset_made_by_five_together_is_one(exchange: Exchange) -> None:
    seller = a_person(exchange, "hanbit")
    made = at_once([lambda: datasets.create_dataset(exchange, seller, "seoul")] * 5)
    assert sorted(is_new for _, is_new in made) == [False] * 4 + [True]


def test_an_organisation_is_added_once(exchange: Exchange) -> None:
    made = at_once([lambda: orgs.add_org(exchange, None, "dongil")] * 5)
    assert sorted(isinstance(one, Conflict) for one in made) == [False, True, True, True, True], made


def test_an_upload_completed_by_five_together_is_logged_once(exchange: Exchange) -> None:
    seller = a_person(exchange, "hanbit")
    upload = uploads.stage(exchange, seller, "a.osm", 5)
    send_part(exchange, upload, 1, b"<osm>")
    done = at_once([lambda: uploads.complete(exchange, seller, upload.id)] * 5)
    assert {one.state for one in done} == {"complete"}, done
    auditor = a_person(exchange, role="auditor")
    assert len(log.events(exchange, auditor, log.EventFilter(action="upload.completed")).events) == 1
