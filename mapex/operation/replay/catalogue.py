"""Datasets, versions and offers, as the log made them."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, text

from mapex.audit.log import Action
from mapex.catalogue import comparisons
from mapex.operation.invariants.asking import Offender
from mapex.operation.replay.kind import Payload, State, differences, parsed
from mapex.rules.update_policy import PAID
from mapex.showroom.descriptions import DatasetDescription, SellerText, description_from


class Datasets(State):
    """Title of each dataset that is there, by organisation and slug."""

    actions = frozenset({Action.DATASET_CREATED, Action.DATASET_REMOVED})

    def take(self, payload: Payload) -> None:
        """A dataset was made, or removed with the last of its versions."""
        key = f"{payload['owner']}/{payload['dataset']}"
        if payload["action"] == Action.DATASET_REMOVED:
            del self.made[key]
        else:
            self.made[key] = {"title": payload["title"]}

    def compare(self, conn: Connection) -> Iterator[Offender]:
        """With the table."""
        rows = conn.execute(
            text(
                "SELECT g.slug AS org, d.slug, d.title FROM dataset d JOIN organisation g ON g.id = d.org_id WHERE d.removed_ns IS NULL "
                "ORDER BY 1, 2"
            )
        )
        yield from differences("dataset", self.made, {f"{row.org}/{row.slug}": {"title": row.title} for row in rows})


class Descriptions(State):
    """The description of each dataset that is there, by its digest."""

    actions = frozenset({Action.DATASET_CREATED, Action.DATASET_DESCRIBED, Action.DATASET_REMOVED})

    def take(self, payload: Payload) -> None:
        """A dataset was made, without a description yet, or was described."""
        key = f"{payload['owner']}/{payload['dataset']}"
        self.made.pop(key, None)
        if payload["action"] == Action.DATASET_DESCRIBED:
            self.made[key] = {"words": payload["description_sha256"]}
        elif payload["action"] == Action.DATASET_CREATED and payload.get("gives_sample"):  # entries of before had no description
            self.made[key] = {"words": DatasetDescription(sample=True).sha256}

    def compare(self, conn: Connection) -> Iterator[Offender]:
        """With the table."""
        query = (
            "SELECT g.slug AS org, d.slug, w.* FROM dataset_description w JOIN dataset d ON d.id = w.dataset_id "
            "JOIN organisation g ON g.id = d.org_id WHERE d.removed_ns IS NULL ORDER BY 1, 2"
        )
        rows = conn.execute(text(query)).mappings()
        yield from differences("description", self.made, {f"{row['org']}/{row['slug']}": _words(description_from(row)) for row in rows})


class SellerTexts(State):
    """What each organisation says about itself, by its digest."""

    actions = frozenset({Action.SELLER_DESCRIBED})

    def take(self, payload: Payload) -> None:
        """An organisation described itself."""
        self.made[payload["owner"]] = {"words": payload["description_sha256"]}

    def compare(self, conn: Connection) -> Iterator[Offender]:
        """With the table."""
        query = "SELECT g.slug, w.ko, w.en FROM seller_description w JOIN organisation g ON g.id = w.org_id ORDER BY 1"
        stored = {row.slug: _words(SellerText(row.ko, row.en)) for row in conn.execute(text(query))}
        yield from differences("description of the seller", self.made, stored)


def _words(described: DatasetDescription | SellerText) -> dict[str, str]:
    return {"words": described.sha256}


_STATES = {
    Action.VERSION_STARTED: "ingesting",
    Action.VERSION_PLACED: "ingesting",
    Action.VERSION_REDUCED: "ingesting",
    Action.VERSION_UNPLACED: "unplaced",
    Action.VERSION_REJECTED: "rejected",
    Action.VERSION_DRAFTED: "draft",
    Action.VERSION_PUBLISHED: "published",
    Action.VERSION_WITHDRAWN: "withdrawn",
    Action.VERSION_RECALLED: "recalled",
    Action.VERSION_REMOVED: "removed",
}
"""What a version is after an entry."""

_OF_JOBS = {Action.JOB_FAILED: "failed", Action.JOB_CANCELLED: "cancelled", Action.JOB_RETRIED: "ingesting"}
"""What a version that is read is after an entry about its job."""


class Versions(State):
    """State and manifest of each version: its layers, classes and tiles are compared with the manifest elsewhere."""

    actions = frozenset({*_STATES, *_OF_JOBS, Action.VERSION_CLASSIFIED, Action.FOOTAGE_CLEARED})

    def __init__(self) -> None:
        super().__init__()
        self._on_sale: dict[str, str] = {}

    def take(self, payload: Payload) -> None:
        """A version, or the job that reads it, went on."""
        action = Action(payload["action"])
        if action in _OF_JOBS and "version" not in payload:
            return  # a job that makes no version
        dataset = f"{payload['owner']}/{payload['dataset']}"
        key = f"{dataset} version {payload['version']}"
        made = self.made.setdefault(key, {"state": ""}) if action == Action.VERSION_STARTED else self.made[key]
        if action in _STATES:
            made["state"] = _STATES[action]
        elif action in _OF_JOBS and made["state"] in ("ingesting", "cancelled", "failed"):
            made["state"] = _OF_JOBS[action]
        if action in (Action.VERSION_REDUCED, Action.VERSION_REMOVED):
            made["manifest"] = None
        if "manifest_sha256" in payload:
            made["manifest"] = payload["manifest_sha256"]
        if action == Action.VERSION_PUBLISHED:
            if before := self._on_sale.get(dataset):
                self.made[before]["state"] = "superseded"
            self._on_sale[dataset] = key
        elif self._on_sale.get(dataset) == key and made["state"] in ("withdrawn", "recalled"):
            del self._on_sale[dataset]

    def compare(self, conn: Connection) -> Iterator[Offender]:
        """With the table. A version whose job was cancelled is read until its worker notices, and is cancelled then."""
        query = (
            "SELECT g.slug AS org, d.slug, v.number, v.state, v.manifest_sha256 FROM dataset_version v "
            "JOIN dataset d ON d.id = v.dataset_id JOIN organisation g ON g.id = d.org_id ORDER BY 1, 2, 3"
        )
        stored = {
            f"{row.org}/{row.slug} version {row.number}": {"state": row.state, "manifest": row.manifest_sha256}
            for row in conn.execute(text(query))
        }
        for key, made in self.made.items():
            if made["state"] == "cancelled" and key in stored:
                now = stored[key]["state"]
                made["state"] = now if now == "ingesting" else "cancelled"
        yield from differences("version", self.made, stored)


class VersionChanges(State):
    """What each version changes against the one before, and the accuracies that its seller stated."""

    actions = frozenset({Action.VERSION_DRAFTED, Action.VERSION_PUBLISHED, Action.VERSION_REMOVED})

    def take(self, payload: Payload) -> None:
        """A version was compared when it was read, was published, or is gone."""
        key = f"{payload['owner']}/{payload['dataset']} version {payload['version']}"
        action = Action(payload["action"])
        if action == Action.VERSION_PUBLISHED and "accuracies_mm" in payload:
            self.made.setdefault(key, {})["accuracies"] = payload["accuracies_mm"]
        elif action == Action.VERSION_DRAFTED and "changes_sha256" in payload:
            self.made[key] = {"changes": payload["changes_sha256"]}
        elif action != Action.VERSION_PUBLISHED:
            self.made.pop(key, None)

    def compare(self, conn: Connection) -> Iterator[Offender]:
        """With the tables; which older tiles are the same follows from both."""
        query = (
            "SELECT v.id, g.slug AS org, d.slug, v.number FROM dataset_version v JOIN dataset d ON d.id = v.dataset_id "
            "JOIN organisation g ON g.id = d.org_id ORDER BY 2, 3, 4"
        )
        stored = {}
        accuracies, compared = comparisons.all_accuracies(conn), comparisons.compared(conn)
        for version_id, org, slug, number in conn.execute(text(query)).all():
            key = f"{org}/{slug} version {number}"
            changes = comparisons.digest(conn, version_id) if version_id in compared else None
            stored[key] = {"accuracies": accuracies.get(version_id, {}), "changes": changes}
            if key not in self.made and any(stored[key].values()):
                yield f"what {key} changes was not logged"
            if version_id in compared and comparisons.is_unsettled(conn, version_id):
                yield f"tiles of versions before {key} count as the same that are not, or do not that are"
        yield from differences("what changes in", self.made, {key: stored[key] for key in self.made if key in stored})


class Offers(State):
    """What each offer sells, under which terms, and whether it is live, by id."""

    actions = frozenset({Action.OFFER_PUBLISHED, Action.OFFER_WITHDRAWN})

    def __init__(self) -> None:
        super().__init__()
        self._live: dict[str, str] = {}

    def take(self, payload: Payload) -> None:
        """An offer went on sale, in the place of the one before, or off it."""
        dataset = f"{payload['owner']}/{payload['dataset']}"
        if before := self._live.pop(dataset, ""):
            self.made[before]["state"] = "replaced"
        if payload["action"] == Action.OFFER_WITHDRAWN:
            self.made[payload["offer"]]["state"] = "withdrawn"
            return
        credits_earlier = payload.get("credits_earlier", False)  # entries from before there was the choice
        terms = {"licence": payload["licence"], "rates": payload["rates"], "credits_earlier": credits_earlier}
        terms["updates"] = payload.get("updates", PAID)
        self.made[payload["offer"]] = {"version": f"{dataset} version {payload['version']}", **terms, "state": "live"}
        self._live[dataset] = payload["offer"]

    def compare(self, conn: Connection) -> Iterator[Offender]:
        """With the table."""
        query = (
            "SELECT o.id, g.slug AS org, d.slug, v.number, o.licence, o.rate_card, o.credits_earlier, o.updates, o.state FROM offer o "
            "JOIN dataset d ON d.id = o.dataset_id AND d.org_id = o.org_id JOIN organisation g ON g.id = d.org_id "
            "JOIN dataset_version v ON v.id = o.version_id AND v.dataset_id = d.id ORDER BY o.id"
        )
        stored = {
            row.id: {
                "version": f"{row.org}/{row.slug} version {row.number}",
                "licence": row.licence,
                "rates": parsed(row.rate_card),
                "credits_earlier": bool(row.credits_earlier),
                "updates": row.updates,
                "state": row.state,
            }
            for row in conn.execute(text(query))
        }
        yield from differences("offer", self.made, stored)
