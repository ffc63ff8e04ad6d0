"""Deterministic inputs for the benchmarks: sizes and seeds are arguments, nothing is downloaded.

python -m benchmarks.generate hdmap --n 100000 --to DIR
python -m benchmarks.generate opendrive --n 350 --to DIR
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

LON0, LAT0 = 127.0, 37.5
MX, MY = 111_320 * np.cos(np.radians(LAT0)), 110_950.0  # metres of a degree: a plane is good enough for made-up streets
_ARROW = np.array([[0, -0.1], [3, -0.1], [3, -0.4], [5, 0], [3, 0.4], [3, 0.1], [0, 0.1], [0, -0.1]])


class Streets:
    """Street segments of a made-up city: where they start, which way they bend, how many lanes they have. Metres."""

    def __init__(self, count, side, seed):
        rng = self.rng = np.random.default_rng(seed)
        centres, weight = rng.uniform(-side / 2, side / 2, (2, 12)), rng.dirichlet(np.full(12, 2.0))
        town = rng.choice(12, count, p=weight)
        urban = rng.random(count) < 0.7
        near = centres[:, town] + rng.normal(0, side / 9, (2, count))
        self.x, self.y = np.where(urban, np.clip(near, -side / 2, side / 2), rng.uniform(-side / 2, side / 2, (2, count)))
        self.heading = rng.uniform(0, np.pi / 2, 12)[town] + rng.integers(0, 4, count) * np.pi / 2 + rng.normal(0, 0.05, count)
        self.length = np.clip(rng.lognormal(np.log(130), 0.5, count), 25, 600)
        self.bend = rng.normal(0, 1 / 500, count)
        self.lanes = rng.choice([1, 2, 3, 4, 5], count, p=[0.2, 0.3, 0.25, 0.15, 0.1])
        self.height = 40 + 30 * np.sin(self.x / 4000) * np.cos(self.y / 3000) + rng.normal(0, 0.5, count)
        self.grade = rng.normal(0, 0.02, count)

    def at(self, street, along, aside):
        """(n, 3) lon, lat, height of places `along` metres into streets and `aside` metres to their left."""
        half, turned = self.heading[street] + self.bend[street] * along / 2, self.heading[street] + self.bend[street] * along
        x = self.x[street] + along * np.cos(half) - aside * np.sin(turned)
        y = self.y[street] + along * np.sin(half) + aside * np.cos(turned)
        height = self.height[street] + self.grade[street] * along
        return np.stack([np.round(LON0 + x / MX, 8), np.round(LAT0 + y / MY, 8), np.round(height, 3)], axis=1)

    def steps(self, street, step):
        """Vertices every `step` metres: how many each street has, whose each is, and how far along it is."""
        n = np.maximum(2, (self.length[street] / step).astype(int) + 1)
        which = np.repeat(np.arange(len(street)), n)
        k = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n)
        return n, which, self.length[street][which] * k / (n - 1)[which]


def _features(streets):
    """(kind, street of each feature, geometries) for each kind of a national HD map, all with heights."""
    import shapely

    count = len(streets.x)
    every = np.arange(count)
    for kind, per, shift in (("A2_LINK", streets.lanes, 0.5), ("B2_SURFACELINEMARK", streets.lanes + 1, 0.0)):
        street = np.repeat(every, per)
        lane = np.arange(len(street)) - np.repeat(np.cumsum(per) - per, per)
        _, which, along = streets.steps(street, 4.0)
        yield kind, street, shapely.linestrings(streets.at(street[which], along, (lane[which] + shift) * 3.3), indices=which)
    ends = [streets.at(every, np.ones(count), aside) for aside in (np.zeros(count), streets.lanes * 3.3)]
    yield "B2_STOPLINE", every, shapely.linestrings(np.stack(ends, axis=1))
    twice = np.repeat(every, 2)
    signs = streets.at(twice, streets.rng.random(len(twice)) * streets.length[twice], streets.lanes[twice] * 3.3 + 2)
    signs[:, 2] += 4.5
    yield "B1_SAFETYSIGN", twice, shapely.points(signs)
    which, arrow = np.repeat(every, len(_ARROW)), np.tile(_ARROW, (count, 1))
    yield (
        "B3_SURFACEMARK",
        every,
        shapely.polygons(shapely.linearrings(streets.at(which, 10 + arrow[:, 0], 1.65 + arrow[:, 1]), indices=which)),
    )
    for right in (True, False):
        n, which, along = streets.steps(every, 6.0)
        aside = np.full(len(which), -3.0) if right else (streets.lanes * 3.3)[which]
        there, back = streets.at(which, along, aside), streets.at(which, along, aside + 3.0)
        start = np.cumsum(n) - n
        reverse = np.repeat(start + n - 1, n) - (np.arange(len(which)) - np.repeat(start, n))
        ring, owner = np.concatenate([there, back[reverse], there[start]]), np.concatenate([which, which, every])
        order = np.argsort(owner, kind="stable")  # the three parts of a ring keep their order
        yield "A4_SIDEWALK", every, shapely.polygons(shapely.linearrings(ring[order], indices=owner[order]))
    some = np.flatnonzero(streets.rng.random(count) < 0.5)
    near, zero, far = np.full(len(some), 2.0), np.zeros(len(some)), streets.lanes[some] * 3.3
    corners = [streets.at(some, near, zero), streets.at(some, near + 4, zero), streets.at(some, near + 4, far), streets.at(some, near, far)]
    corners.append(corners[0])
    yield "B3_CROSSWALK", some, shapely.polygons(np.stack(corners, axis=1))


def hdmap(n, to, seed=20261122):
    """Write `hdmap-<n>.parquet` (GeoParquet, row groups of 65,536): n features at the density of Seoul; returns its path.

    A million features are in 40 x 40 km. Features of one street are together, streets in random order.
    """
    import geopandas as gpd
    import pandas as pd

    path = Path(to) / f"hdmap-{n}.parquet"
    if path.exists():
        return path
    streets = Streets(int(n / 12.6) + 50, 40_000 * (n / 1e6) ** 0.5, seed)
    kinds, owners, shapes = zip(*_features(streets), strict=True)
    kind = np.concatenate([np.full(len(g), k) for k, g in zip(kinds, shapes, strict=True)])
    order = np.argsort(np.concatenate(owners), kind="stable")[:n]
    rng = streets.rng
    frame = gpd.GeoDataFrame(
        {
            "id": [f"HD{k:09d}" for k in range(len(order))],
            "kind": pd.Categorical(kind[order]),
            "link": np.concatenate(owners)[order].astype("int32"),
            "speed": rng.choice([30, 50, 60, 80], len(order)).astype("int16"),
            "maker": pd.Categorical(rng.choice(["A사", "B사", "C사"], len(order))),
            "updated": rng.integers(19_000, 20_400, len(order)).astype("int32"),
        },
        geometry=np.concatenate(shapes)[order],
        crs=4326,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(path.with_suffix(".new"), compression="zstd", row_group_size=65_536)
    path.with_suffix(".new").rename(path)
    return path


_PLAN = (("line", 25.0, 0, 0), ("spiral", 15.0, 0, 1), ("arc", 23.0, 1, 1), ("spiral", 15.0, 1, 0), ("line", 25.0, 0, 0))
_SHAPES = {"line": "<line/>", "arc": '<arc curvature="{0!r}"/>', "spiral": '<spiral curvStart="{0!r}" curvEnd="{1!r}"/>'}
_LANES = ((1, "driving", 3.25, "broken"), (2, "driving", 3.25, "solid"), (3, "sidewalk", 2.5, "none"))
_CENTRE = '<center><lane id="0" type="none"><roadMark sOffset="0.0" type="solid solid" color="yellow" width="0.12"/></lane></center>'


def _plan_view(x, y, hdg, curvature):
    """Line, spiral, arc, spiral, line; and how long they are."""
    parts, s = [], 0.0
    for name, length, *ends in _PLAN:
        start, end = (curvature * one for one in ends)
        shape = _SHAPES[name].format(start, end)
        parts.append(f'<geometry s="{s!r}" x="{x!r}" y="{y!r}" hdg="{hdg!r}" length="{length!r}">{shape}</geometry>')
        u = np.linspace(0, length, 2001)
        turn = hdg + start * u + (end - start) * u * u / length / 2
        x, y = x + float(np.trapezoid(np.cos(turn), u)), y + float(np.trapezoid(np.sin(turn), u))
        hdg, s = float(turn[-1]), s + length
    return "".join(parts), s


def _lane(number, kind, width, mark, s):
    """A lane that becomes a little wider and narrower again, and whose mark changes."""
    marks = "".join(
        f'<roadMark sOffset="{at!r}" type="{one}" weight="standard" color="white" material="standard" width="0.12" laneChange="both"/>'
        for at, one in ((0.0, mark), (s / 4, "solid"))
    )
    return (
        f'<lane id="{number}" type="{kind}" level="false"><link><predecessor id="{number}"/><successor id="{number}"/></link>'
        f'<width sOffset="0.0" a="{width!r}" b="0.0" c="0.0001" d="{-0.0002 / s / 3!r}"/>{marks}</lane>'
    )


def _road(number, x, y, rng):
    """One street of OpenDRIVE of 103 m: two driven lanes and a sidewalk on each side, in every third street in two sections."""
    plan, s = _plan_view(x, y, float(rng.uniform(0, 2 * np.pi)), float(rng.choice([-1, 1]) * rng.uniform(0.004, 0.03)))
    heights, slopes = 30 + rng.normal(0, 0.3, 5), rng.normal(0, 0.02, 5)  # cubics that meet without a kink
    rises = ""
    for k, step in enumerate(np.diff(heights)):
        c, d = (
            (3 * step / (s / 4) - 2 * slopes[k] - slopes[k + 1]) / (s / 4),
            (slopes[k] + slopes[k + 1] - 2 * step / (s / 4)) / (s / 4) ** 2,
        )
        numbers = zip("abcd", (heights[k], slopes[k], c, d), strict=True)
        rises += f'<elevation s="{k * s / 4!r}" ' + " ".join(f'{name}="{float(value)!r}"' for name, value in numbers) + "/>"
    sides = [
        f"<left>{''.join(_lane(k, *rest, s) for k, *rest in reversed(_LANES))}</left>",
        f"<right>{''.join(_lane(-k, *rest, s) for k, *rest in _LANES)}</right>",
    ]
    starts = (0.0, s / 2) if number % 3 == 0 else (0.0,)
    sections = "".join(f'<laneSection s="{at!r}">{sides[0]}{_CENTRE}{sides[1]}</laneSection>' for at in starts)
    objects = "".join(
        f'<object id="{number * 10 + k}" type="pole" name="lamp" s="{k * 20 + 10.0!r}" t="9.5" zOffset="0.0"/>' for k in range(5)
    )
    signal = '<signal id="{}" s="{}" t="-8.5" zOffset="5.0" dynamic="yes" type="1000001" subtype="-1" country="OpenDRIVE"/>'
    signals = "".join(signal.format(number * 10 + k, k * 40 + 5.0) for k in range(2))
    return (
        f'<road name="street {number}" length="{s!r}" id="{number}" junction="-1"><type s="0.0" type="town"><speed max="50"/></type>'
        f"<planView>{plan}</planView><elevationProfile>{rises}</elevationProfile>"
        f'<lateralProfile><superelevation s="0.0" a="{rng.normal(0, 0.02)!r}" b="0.0" c="0.0" d="0.0"/></lateralProfile>'
        f'<lanes><laneOffset s="0.0" a="0.0" b="0.0" c="0.0" d="0.0"/>{sections}</lanes>'
        f"<objects>{objects}</objects><signals>{signals}</signals></road>"
    )


def opendrive(n, to, seed=20261130):
    """Write `opendrive-<n>.xodr`: n streets (350 are 36 km) on a grid of 250 m; returns its path."""
    path = Path(to) / f"opendrive-{n}.xodr"
    if path.exists():
        return path
    rng, side = np.random.default_rng(seed), int(np.ceil(n**0.5))
    reference = f"+proj=tmerc +lat_0={LAT0} +lon_0={LON0} +k=1 +x_0=0 +y_0=0 +datum=WGS84 +units=m"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        file.write('<?xml version="1.0" encoding="UTF-8"?>\n<OpenDRIVE><header revMajor="1" revMinor="6" name="" version="1">')
        file.write(f"<geoReference><![CDATA[{reference}]]></geoReference></header>\n")
        for k in range(n):
            file.write(_road(k, k % side * 250.0, k // side * 250.0, rng) + "\n")
        file.write("</OpenDRIVE>\n")
    return path


MAKERS = {"hdmap": hdmap, "opendrive": opendrive}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="write an input of a benchmark")
    parser.add_argument("what", choices=MAKERS)
    parser.add_argument("--n", type=float, default=100_000)
    parser.add_argument("--to", type=Path, required=True)
    given = parser.parse_args()
    print(MAKERS[given.what](int(given.n), given.to))
