"""Pages of sellers: datasets, upload, what was found in it, price and publication."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template, request

from mapex.catalogue import datasets, removals
from mapex.catalogue.finding import Severity
from mapex.intake.jobs import Job
from mapex.offers import offers, reviews, sales
from mapex.orders import ledger, settlements
from mapex.rules.licences import HandlingClass
from mapex.showroom import descriptions, questions
from mapex.times import kst_month
from web.edge.auth import current_actor, exchange
from web.edge.policy import policy
from web.words import vocabulary
from web.words.licences import class_choices

blueprint = Blueprint("pages_sell", __name__)

MOST_FINDINGS = 200


@blueprint.get("/sell")
@policy("own")
def sell() -> str:
    """Own datasets, what was earned, and what buyers looked for in vain."""
    ex, by = exchange(), current_actor()
    own = [one for one in datasets.datasets(ex, by) if one.org == by.org_slug]
    newest = {one.slug: datasets.get_version(ex, by, f"{one.org}/{one.slug}", one.newest) for one in own if one.newest is not None}
    this_month = kst_month(ex.now())
    current = next((one for one in sales.totals(ex, by) if one.month == this_month), sales.MonthTotal(this_month, 0, 0, 0))
    return render_template(
        "sell/sell.html",
        datasets=own,
        newest=newest,
        on_sale={one.slug: offers.live(ex, by, f"{one.org}/{one.slug}") for one in own if one.published is not None},
        removable=removals.REMOVABLE,
        wallet=ledger.wallet(ex, by, limit=10),
        settlements=settlements.of_seller(ex, by),
        accrued=settlements.accrued(ex, by),
        months=sales.by_month(ex, by),
        current=current,
        described=descriptions.get_seller(ex, by),
        asked=questions.unread(ex, by),
        titles={one.slug: one.title for one in own},
        page={},
    )


@blueprint.get("/sell/new")
@policy("own")
def new() -> str:
    """Upload files as a new dataset, or as a new version of one."""
    slug = request.args.get("dataset", "")
    known = datasets.get_dataset(exchange(), current_actor(), f"{current_actor().org_slug}/{slug}") if slug else None
    page = {"limit": exchange().settings.max_upload_bytes}
    return render_template("sell/upload.html", dataset=known, classes=class_choices(), page=page)


@blueprint.get("/sell/<slug>/<int:number>")
@policy("own")
def version(slug: str, number: int) -> str:
    """One version: progress, layers, findings on a map, price and publication."""
    values = _version(slug, number)
    return render_template("sell/version.html", page={"dataset": slug, "version": number}, **values)


@blueprint.get("/sell/<slug>/<int:number>/state")
@policy("own")
def version_state(slug: str, number: int) -> str:
    """The part of the version's page that changes while it is checked; asks again by itself until it is done."""
    return render_template("sell/_version.html", **_version(slug, number))


def _version(slug: str, number: int) -> dict[str, Any]:
    ex, by = exchange(), current_actor()
    ref = f"{by.org_slug}/{slug}"
    found = datasets.describe(ex, by, ref, number)
    dataset = datasets.get_dataset(ex, by, ref)
    version_ = found.version
    is_busy = found.job is not None and found.job.state in ("queued", "running")
    order = list(Severity)
    findings = sorted(found.findings, key=lambda one: order.index(one.severity))
    counted = {name: sum(one.count for one in findings if one.severity == name) for name in order}
    return {
        "dataset": dataset,
        "version": version_,
        "job": found.job,
        "reviews": reviews.of_version(ex, by, version_),
        "is_busy": is_busy,
        "steps": _steps(found.job) if found.job is not None else [],
        "layers": found.layers,
        "files": found.files,
        "at_fault": found.at_fault,
        "same_as": found.same_as,
        "is_removable": version_.state in removals.REMOVABLE,
        "is_only": (dataset.newest == number and len(datasets.versions(ex, by, ref)) == 1),
        "findings": findings[:MOST_FINDINGS],
        "more_findings": max(0, len(findings) - MOST_FINDINGS),
        "counted": counted,
        "classes": [(str(code), vocabulary.label(vocabulary.CLASSES, code)) for code in HandlingClass],
        "own": [layer.facts.own for layer in found.layers if layer.facts.own],
        "unclassed": [layer.name for layer in found.layers if layer.handling_class is None],
    }


def _steps(job: Job) -> list[dict[str, str]]:
    """The stages of a job: done | now | bad | next, in their order."""
    stages = list(vocabulary.STAGES)
    stage = "read" if job.progress.stage in vocabulary.WAITS else job.progress.stage
    at = stages.index(stage) if stage in stages else 0 if job.state == "running" else -1
    here = {"running": "now", "failed": "bad", "cancelled": "bad", "done": "done"}.get(job.state, "next")
    return [
        {"stage": stage, "state": "done" if number < at or job.state == "done" else here if number == at else "next"}
        for number, stage in enumerate(stages)
    ]
