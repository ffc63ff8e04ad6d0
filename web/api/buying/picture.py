"""The small picture of a dataset as SVG: lines in the colour of their kind on the ground of the map."""

from __future__ import annotations

from mapex.showroom.pictures import DrawnDataset
from tiles.arrays import Float64s

SIDE = 320
GROUND, SQUARE = "#0a1420", "#2185c4"
COLOURS = {"hdmap": "#4d9bff", "sidewalk": "#fff06a"}
"""As on the map (`static/app.css`): the picture is the same in light and dark."""


def svg(drawn: DrawnDataset) -> bytes:
    """The bytes of the picture."""
    has_lines = any(len(part) for _, part in drawn.lines)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE} {SIDE}">',
        f'<path fill="{GROUND}" d="M0 0h{SIDE}v{SIDE}H0z"/>',
        f'<path fill="{SQUARE}" fill-opacity="{0.25 if has_lines else 0.7}" d="{_boxes(drawn.squares)}"/>',
    ]
    for kind, part in drawn.lines:
        colour = COLOURS.get(kind, COLOURS["hdmap"])
        parts.append(f'<path fill="none" stroke="{colour}" stroke-width="1.3" stroke-linecap="round" d="{_segments(part)}"/>')
    return "".join([*parts, "</svg>"]).encode()


def _segments(part: Float64s) -> str:
    return "".join(f"M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}" for x0, y0, x1, y1 in (part * SIDE).tolist())


def _boxes(part: Float64s) -> str:
    return "".join(f"M{x0:.1f} {y0:.1f}H{x1:.1f}V{y1:.1f}H{x0:.1f}z" for x0, y0, x1, y1 in (part * SIDE).tolist())
