"""OpenDRIVE: whatever the curve, no line leaves it; whatever happens to the text, the reader answers and its counts balance."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.readers.opendrive.drawing import NEAR_M, Drawing
from ingest.readers.opendrive.lines import lines_of
from ingest.readers.opendrive.road import road_of
from ingest.readers.opendrive.tree import OpenDriveParts
from mapex.errors import MapexError
from mapex.intake.placement import Placement
from tests.support.opendrive import geometry, lane, road, section, written, xodr
from tests.support.reading import received
from tiles.errors import TilesError

NUMBER = st.floats(-0.2, 0.2)


@settings(max_examples=40, deadline=None)
@given(start=NUMBER, end=NUMBER, b=NUMBER, c=st.floats(-0.01, 0.01), roll=NUMBER, length=st.floats(0.5, 120.0))
def test_no_line_leaves_its_curve(start: float, end: float, b: float, c: float, roll: float, length: float) -> None:
    rest = (
        f'<elevationProfile><elevation s="0" a="20" b="{b}" c="{c}" d="0"/></elevationProfile>'
        f'<lateralProfile><superelevation s="0" a="{roll}" b="{c}" c="0" d="0"/></lateralProfile>'
    )
    widths = f'<width sOffset="0" a="3" b="{b / 4}" c="{c / 4}" d="0"/><height sOffset="0" inner="0.1" outer="0.2"/>'
    plan = geometry(f'<spiral curvStart="{start}" curvEnd="{end}"/>', length)
    with tempfile.TemporaryDirectory() as folder:
        path = written(
            Path(folder), road(plan=plan, length=length, sections=section(left=lane(1), right=lane(-1, inner=widths) + lane(-2)), rest=rest)
        )
        made = road_of(next(part for part in OpenDriveParts(path, path.name).all() if part.name == "road"))
    drawing = Drawing(lines_of([made]))
    for at in range(len(drawing.starts) - 1):
        on = drawing.samples[drawing.starts[at] : drawing.starts[at + 1]]
        places = on[:-1, None] + np.diff(on)[:, None] * np.array([0.0, 0.1, 0.4, 0.6, 0.95, 1.0])  # others than the drawing looked at
        spans = np.arange(*drawing.first[at : at + 2])
        counts = np.full(len(places), len(spans))
        assert drawing.off(np.full(len(places), at), places, np.tile(spans, len(places)), counts).max() <= NEAR_M


GOOD = xodr(
    road("1", plan=geometry('<arc curvature="0.02"/>', 50.0), sections=section(left=lane(1), right=lane(-1) + lane(-2, "sidewalk"))),
    road("2", plan=geometry('<spiral curvStart="0" curvEnd="0.05"/>', 50.0, y=50.0), sections=section(right=lane(-1))),
    '<junction id="J"><connection id="0" incomingRoad="1" connectingRoad="2" contactPoint="start"><laneLink from="-1" to="-1"/>'
    "</connection></junction>",
)
PIECES = ('"', "<", ">", "/", "&", "1e308", "-1", "nan", "inf", "0", "9" * 30, "id", 's="', "lane", "road", "\x00", "é", " ")


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 6))
def test_a_changed_text_is_answered_and_nothing_is_counted_twice(seed: int, count: int) -> None:
    chance, text = random.Random(seed), GOOD
    for _ in range(count):
        at = chance.randrange(len(text))
        text = text[:at] + chance.choice(PIECES) + text[at + chance.randrange(12) :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "map.xodr"
        path.write_text(text, encoding="utf-8")
        try:
            found = received(path, Placement(origin=(127.1, 37.4, 0.0)))
        except (MapexError, TilesError):
            return
    assert sum(batch.table.num_rows for batch in found.raw) == found.table.num_rows + sum(
        finding.rejected for finding in found.findings if finding.code.startswith("coordinate.")
    )
