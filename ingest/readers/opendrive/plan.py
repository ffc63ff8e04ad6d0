"""Plan views: lines, arcs, spirals, poly3 and paramPoly3 as records, and where a road is at any distance along them.

Lines and arcs are exact, a spiral is integrated (Gauss and Legendre, to less than a micrometre), the polynomials are evaluated as the
standard says: the parameter of paramPoly3 runs with the distance along the road, that of poly3 is found by the length of the curve.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.readers.opendrive.tree import XmlElement

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BENT, SPIRAL, POLY3, PARAM_POLY3 = range(4)
_TURN = 2.0
"""Radians that a spiral may turn within one step of integration."""
_MOST_STEPS = 2000
_POLY3_STEPS = 512
_NODES, _WEIGHTS = (np.asarray(values, dtype=np.float64) for values in np.polynomial.legendre.leggauss(12))
_SHAPES = ("line", "arc", "spiral", "poly3", "paramPoly3")
_COEFFICIENTS = ("aU", "bU", "cU", "dU", "aV", "bV", "cV", "dV")


@dataclass(frozen=True, slots=True)
class Record:
    """One `<geometry>`: where it begins, and its shape.

    `numbers`: BENT: curvature (0 of a line). SPIRAL: curvature at the start, its change in a metre. POLY3: a, b, c, d.
    PARAM_POLY3: the four of u, the four of v, and what the distance is divided by (1, or the length where it is normalized).
    """

    s: float
    x: float
    y: float
    heading: float
    length: float
    shape: int
    numbers: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PlanView:
    """The records of some roads as columns, road after road; `numbers` is (n, 9)."""

    s: Floats
    x: Floats
    y: Floats
    heading: Floats
    length: Floats
    shape: Ints
    numbers: Floats

    @staticmethod
    def of(records: Sequence[Record]) -> PlanView:
        """The records as columns."""
        numbers = np.zeros((len(records), 9))
        for row, record in enumerate(records):
            numbers[row, : len(record.numbers)] = record.numbers
        s, x, y, heading, length = np.array([(r.s, r.x, r.y, r.heading, r.length) for r in records], dtype=np.float64).reshape(-1, 5).T
        return PlanView(s, x, y, heading, length, np.array([r.shape for r in records], dtype=np.int64), numbers)

    def bends(self) -> Floats:
        """The largest curvature of each line, arc and spiral; 0 of polynomials, which never wind."""
        ends = np.abs(np.stack([self.numbers[:, 0], self.numbers[:, 0] + self.numbers[:, 1] * self.length])).max(axis=0)
        return np.where(self.shape <= SPIRAL, ends, 0.0)

    def at(self, record: Ints, s: Floats) -> tuple[Floats, Floats, Floats]:
        """x, y and heading at the distance `s` along its road, of each pair of record and distance."""
        along = s - self.s[record]
        u, v, turn = np.zeros_like(along), np.zeros_like(along), np.zeros_like(along)
        for shape, way in ((BENT, _bent), (SPIRAL, _spiral), (POLY3, _poly3), (PARAM_POLY3, _param_poly3)):
            some = np.flatnonzero(self.shape[record] == shape)
            if len(some):
                u[some], v[some], turn[some] = way(self, record[some], along[some])
        start = self.heading[record]
        cos, sin = np.cos(start), np.sin(start)
        return self.x[record] + u * cos - v * sin, self.y[record] + u * sin + v * cos, start + turn


Local = tuple[Floats, Floats, Floats]
"""u, v and turn from the beginning of a record, in its own frame."""


def _bent(plan: PlanView, record: Ints, along: Floats) -> Local:
    turn = plan.numbers[record, 0] * along
    half = turn / 2
    chord = along * np.sinc(half / np.pi)
    return chord * np.cos(half), chord * np.sin(half), turn


def _spiral(plan: PlanView, record: Ints, along: Floats) -> Local:
    curvature, change, length = plan.numbers[record, 0], plan.numbers[record, 1], plan.length[record]
    steps = np.ceil(np.maximum(np.abs(curvature), np.abs(curvature + change * length)) * length / _TURN).clip(1, _MOST_STEPS)
    u, v = _steps(curvature, change, np.zeros_like(along), along).T
    for one in np.unique(record[steps > 1]).tolist():
        mine = record == one
        u[mine], v[mine] = _integrated(plan, one, int(steps[mine][0]), along[mine])
    return u, v, (curvature + change * along / 2) * along


def _integrated(plan: PlanView, record: int, steps: int, along: Floats) -> tuple[Floats, Floats]:
    """The u and v of one spiral that turns far: whole steps summed up, and the rest of a step from there."""
    curvature, change = (np.full(steps, plan.numbers[record, column]) for column in (0, 1))
    edges = np.linspace(0.0, float(plan.length[record]), steps + 1)
    sums = np.concatenate([np.zeros((1, 2)), np.cumsum(_steps(curvature, change, edges[:-1], edges[1:]), axis=0)])
    step = np.clip(np.searchsorted(edges, along, side="right") - 1, 0, steps - 1)
    u, v = (sums[step] + _steps(curvature[step], change[step], edges[step], along)).T
    return u, v


def _steps(curvature: Floats, change: Floats, begin: Floats, end: Floats) -> Floats:
    """The way that spirals make from each `begin` to each `end`, (n, 2)."""
    half = (end - begin) / 2
    at = begin[:, None] + half[:, None] * (_NODES + 1.0)
    turn = (curvature[:, None] + change[:, None] * at / 2) * at
    return np.column_stack([(np.cos(turn) @ _WEIGHTS) * half, (np.sin(turn) @ _WEIGHTS) * half])


def _poly3(plan: PlanView, record: Ints, along: Floats) -> Local:
    u = np.zeros_like(along)
    for one in np.unique(record).tolist():
        mine = record == one
        u[mine] = _u_of_length(plan.numbers[one, :4], float(plan.length[one]), along[mine])
    a, b, c, d = plan.numbers[record, :4].T
    return u, a + u * (b + u * (c + u * d)), np.arctan(b + u * (2 * c + u * 3 * d))


def _u_of_length(numbers: Floats, length: float, along: Floats) -> Floats:
    """The parameter u of one poly3 at which its curve has a length; u is never more than the length."""
    _, b, c, d = numbers
    edges = np.linspace(0.0, max(length, 1e-9), _POLY3_STEPS + 1)
    half = (edges[1] - edges[0]) / 2
    at = edges[:-1, None] + half * (_NODES + 1.0)
    lengths = np.concatenate([[0.0], np.cumsum((np.hypot(1.0, b + at * (2 * c + at * 3 * d)) @ _WEIGHTS) * half)])
    step = np.clip(np.searchsorted(lengths, along, side="right") - 1, 0, _POLY3_STEPS - 1)
    u = edges[step]
    for _ in range(3):  # Newton; within a step the curve is nearly straight
        slope = np.hypot(1.0, b + u * (2 * c + u * 3 * d))
        part = (u - edges[step]) / 2
        inner = edges[step][:, None] + part[:, None] * (_NODES + 1.0)
        walked = lengths[step] + (np.hypot(1.0, b + inner * (2 * c + inner * 3 * d)) @ _WEIGHTS) * part
        u = u + (along - walked) / slope
    return u


def _param_poly3(plan: PlanView, record: Ints, along: Floats) -> Local:
    n = plan.numbers[record].T
    p = along / n[8]
    u, v = n[0] + p * (n[1] + p * (n[2] + p * n[3])), n[4] + p * (n[5] + p * (n[6] + p * n[7]))
    du, dv = n[1] + p * (2 * n[2] + p * 3 * n[3]), n[5] + p * (2 * n[6] + p * 3 * n[7])
    return u, v, np.arctan2(dv, du)


def record_of(node: XmlElement) -> Record | str:
    """The record of a `<geometry>` element, or why it cannot be used."""
    start = [node.number(name, math.nan) for name in ("s", "x", "y", "hdg", "length")]
    if not all(map(math.isfinite, start)):
        missing = next(name for name, value in zip(("s", "x", "y", "hdg", "length"), start, strict=True) if not math.isfinite(value))
        return f"{missing} of a geometry is no number"
    s, x, y, heading, length = start
    if length < 0.0:
        return f"a geometry has the length {length:g}"
    made = _shape(node, length)
    if isinstance(made, str):
        return made
    shape, numbers = made
    if not all(map(math.isfinite, numbers)):
        return f"a number of the geometry at s={s:g} is none"
    return Record(s, x, y, heading, length, shape, numbers)


def _shape(node: XmlElement, length: float) -> tuple[int, tuple[float, ...]] | str:
    child = next((one for one in node.children if one.name in _SHAPES), None)
    if child is None:
        return f"a geometry has no shape that is known ({', '.join(_SHAPES)})"
    if child.name == "poly3":
        return POLY3, tuple(child.number(name) for name in "abcd")
    if child.name == "paramPoly3":
        return PARAM_POLY3, (*(child.number(name) for name in _COEFFICIENTS), _divisor(child, length))
    if child.name != "spiral":
        return BENT, (child.number("curvature", math.nan) if child.name == "arc" else 0.0,)
    start, end = child.number("curvStart", math.nan), child.number("curvEnd", math.nan)
    if max(abs(start), abs(end)) * length > _TURN * _MOST_STEPS:
        return "a spiral turns more often than can be drawn"
    return SPIRAL, (start, (end - start) / length if length else 0.0)


def _divisor(node: XmlElement, length: float) -> float:
    """What the distance is divided by. Where `pRange` is left out, the speed at the start shows which of both is meant."""
    stated = node.text_of("pRange")
    if stated not in ("arcLength", "normalized"):
        speed = math.hypot(node.number("bU"), node.number("bV"))
        is_normalized = speed <= 0.0 or length <= 0.0 or abs(math.log(speed / length)) < abs(math.log(speed))
        stated = "normalized" if is_normalized else "arcLength"
    return length if stated == "normalized" and length > 0.0 else 1.0
