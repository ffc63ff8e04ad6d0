"""Page of sellers: price and publication of a version."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from flask import Blueprint, render_template

from mapex.catalogue import datasets, differences
from mapex.catalogue.differences import Differences, accuracies
from mapex.catalogue.finding import Finding
from mapex.catalogue.versions import Layer
from mapex.errors import NotFound
from mapex.offers import offers, recalls
from mapex.rules.accuracy import STEPS_MM
from mapex.rules.licences import LICENCES
from mapex.rules.pricing import MAIN_UNIT, MAX_RATE, UNITS, Unit, quantity_of
from mapex.rules.update_policy import MAX_MONTHS, PAID, free_months
from mapex.showroom import descriptions
from tiles.box import Box
from web.edge.auth import current_actor, exchange
from web.edge.policy import policy
from web.words.licences import class_choices, licence_words

blueprint = Blueprint("pages_publish", __name__)


@blueprint.get("/sell/<slug>/<int:number>/publish")
@policy("own")
def publish(slug: str, number: int) -> str:
    """Terms of one version: prices, licence, classes; what it changes on the map and what a buyer would pay."""
    ex, by = exchange(), current_actor()
    ref = f"{by.org_slug}/{slug}"
    found = datasets.describe(ex, by, ref, number)
    dataset = datasets.get_dataset(ex, by, ref)
    before, changes = offers.latest(ex, by, slug), differences.of(ex, by, ref, number)
    return render_template(
        "sell/publish.html",
        page={"dataset": slug, "version": number, "most": MAX_RATE, "steps": STEPS_MM, "changes": _steps(changes)},
        dataset=dataset,
        version=found.version,
        layers=found.layers,
        questions=_questions(found.findings, found.layers) if found.version.state == "draft" else [],
        same_as=found.same_as,
        errors=sum(one.count for one in found.findings if one.severity == "error"),
        offer=before if before is not None and before.state == "live" and before.version == number else None,
        before=before,
        updates=before.updates.partition(":")[0] if before else PAID,
        free_months=free_months(before.updates) if before else 0,
        most_months=MAX_MONTHS,
        units=_units(found.layers),
        licences=[licence_words(code) for code in LICENCES],
        classes=class_choices(),
        changes=changes,
        accuracies=STEPS_MM,
        stated=accuracies(ex, by, ref, number),
        described=descriptions.get(ex, by, ref),
        view=_view(found.layers),
        recall=recalls.foresee(ex, by, slug, number) if found.version.state in recalls.RELEASED else None,
        fee=[f"{float(part):g}" for part in (ex.settings.fee_percent, 100 - ex.settings.fee_percent)] if ex.settings.fee_percent else [],
    )


@blueprint.get("/sell/<slug>/describe")
@policy("own")
def describe(slug: str) -> str:
    """What buyers read about a dataset: text, stated accuracy, method, sample."""
    ex, by = exchange(), current_actor()
    ref = f"{by.org_slug}/{slug}"
    dataset = datasets.get_dataset(ex, by, ref)
    if dataset.org != by.org_slug:
        raise NotFound("dataset.unknown", "There is no such dataset.")
    return render_template("sell/describe.html", page={}, dataset=dataset, described=descriptions.get(ex, by, ref))


def _steps(found: Differences) -> dict[str, dict[str, Any]]:
    """What the script needs to show what an accuracy makes of the changes: counts by `STEPS_MM`, and tiles that stay a change."""
    return {
        name: {
            "after": one.comparison.after,
            "cells": list(one.cells.values()),
            **{way: getattr(one.comparison.counts, way) for way in ("added", "altered", "moved", "moved_only")},
        }
        for name, one in found.features.items()
    }


def _units(layers: Any) -> list[dict[str, Any]]:
    """What can be charged for in these layers, the main unit of each kind first: unit, quantity in all."""
    totals: dict[Unit, int] = {}
    for layer in layers:
        for unit in UNITS.values():
            amount = getattr(layer.quantities, unit.column)
            if amount:
                totals[unit] = totals.get(unit, 0) + amount
    main = {MAIN_UNIT[layer.kind] for layer in layers if layer.cells}
    rows: list[dict[str, Any]] = [
        {"unit": str(unit), "quantity": float(quantity_of(unit, small)), "is_main": unit in main, "example": unit.example}
        for unit, small in totals.items()
    ]
    return sorted(rows, key=lambda row: (not row["is_main"], list(UNITS).index(row["unit"])))


def _questions(findings: Sequence[Finding], layers: Sequence[Layer]) -> list[dict[str, Any]]:
    """What has to be answered before publication; with the metres that are in question and the unit in which they would be charged."""
    units = {layer.name: str(MAIN_UNIT[layer.kind]) for layer in layers if MAIN_UNIT[layer.kind].small == "mm"}
    return [
        {**one.as_json(), "metres": _metres(one.value), "unit": units.get(one.layer, "")} for one in findings if one.severity == "question"
    ]


def _metres(value: str) -> int | None:
    """Whole metres of a finding's value such as `177930 m`; None when it is about something else."""
    text = value.removesuffix(" m")
    return int(text) if text != value and text.isdecimal() else None


def _view(layers: Any) -> str:
    """The map's address of the layers: `zoom/lat/lon`, or nothing where that is not known."""
    box = Box.around(layer.facts.box for layer in layers if layer.facts.box)
    if box is None:
        return ""
    lon, lat = box.centre
    zoom = min(16.0, max(5.0, math.log2(360 / max(box.width, box.height * 1.6, 1e-6))))
    return f"{zoom:.2f}/{lat:.5f}/{lon:.5f}"
