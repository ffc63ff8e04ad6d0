"""OpenDRIVE files for tests, put together from texts; and a slow reading of curves, step by step, that shares nothing with the reader."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

LOCAL = "+proj=tmerc +lat_0=37.4 +lon_0=127.1 +k=1 +x_0=0 +y_0=0 +datum=WGS84 +units=m"


def lane(number: int, type_: str = "driving", inner: str = '<width sOffset="0" a="3.5" b="0" c="0" d="0"/>', **attributes: Any) -> str:
    """A `<lane>`; `inner` replaces its width."""
    more = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f'<lane id="{number}" type="{type_}"{more}>{inner}</lane>'


def section(*, s: float = 0.0, left: str = "", right: str = "", attributes: str = "") -> str:
    """A `<laneSection>` with a centre lane."""
    sides = (
        (f"<left>{left}</left>" if left else "")
        + '<center><lane id="0" type="none"/></center>'
        + (f"<right>{right}</right>" if right else "")
    )
    return f'<laneSection s="{s}"{attributes}>{sides}</laneSection>'


def geometry(shape: str, length: float, *, s: float = 0.0, x: float = 0.0, y: float = 0.0, hdg: float = 0.0) -> str:
    """A `<geometry>` of one shape."""
    return f'<geometry s="{s}" x="{x}" y="{y}" hdg="{hdg}" length="{length}">{shape}</geometry>'


def road(
    name: str = "1",
    *,
    plan: str = "",
    length: float = 50.0,
    sections: str = "",
    offset: str = "",
    rest: str = "",
    link: str = "",
    more: str = "",
) -> str:
    """A `<road>`; straight without a plan, flat at 20 m without `rest`."""
    plan = plan or geometry("<line/>", length)
    rest = rest or '<elevationProfile><elevation s="0" a="20" b="0" c="0" d="0"/></elevationProfile>'
    return (
        f'<road name="" length="{length}" id="{name}" {more or "junction=" + chr(34) + "-1" + chr(34)}><link>{link}</link>'
        f"<planView>{plan}</planView>{rest}<lanes>{offset}{sections}</lanes></road>"
    )


def xodr(*parts: str, reference: str = LOCAL, header: str = "", root: str = "OpenDRIVE") -> str:
    """A whole file."""
    place = f"<geoReference><![CDATA[{reference}]]></geoReference>" if reference else ""
    return f'<?xml version="1.0"?>\n<{root}><header revMajor="1" revMinor="7">{place}{header}</header>{"".join(parts)}</{root}>\n'


def written(folder: Path, *parts: str, **more: Any) -> Path:
    """The path of a file of these parts."""
    path = folder / "map.xodr"
    path.write_text(xodr(*parts, **more), encoding="utf-8")
    return path


STEPS = 2000


def walked(shape: str, numbers: tuple[float, ...], length: float) -> list[tuple[float, float, float]]:
    """(x, y, heading) at `STEPS` + 1 even distances along a shape that begins at the origin.

    Lines, arcs and spirals are walked by their curvature, poly3 by the length of its curve, paramPoly3 by its parameter.
    """
    found = []
    x = y = u = 0.0
    step = length / STEPS
    for k in range(STEPS + 1):
        s = k * step
        if shape in ("line", "arc", "spiral"):
            start, end = {"line": (0.0, 0.0), "arc": (numbers * 2)[:2], "spiral": numbers}[shape]
            turn = start * s + (end - start) * s * s / length / 2
            found.append((x, y, turn))
            half = s + step / 2
            middle = start * half + (end - start) * half * half / length / 2
            x, y = x + step * math.cos(middle), y + step * math.sin(middle)
        elif shape == "poly3":
            a, b, c, d = numbers
            found.append((u, a + b * u + c * u**2 + d * u**3, math.atan(b + 2 * c * u + 3 * d * u**2)))
            ahead = u + step / 2 / math.hypot(1, b + 2 * c * u + 3 * d * u**2)
            u += step / math.hypot(1, b + 2 * c * ahead + 3 * d * ahead**2)
        else:
            p = s / length if shape == "normalized" else s
            (a, b, c, d), (e, f, g, h) = numbers[:4], numbers[4:]
            turn = math.atan2(f + 2 * g * p + 3 * h * p * p, b + 2 * c * p + 3 * d * p * p)
            found.append((a + b * p + c * p**2 + d * p**3, e + f * p + g * p**2 + h * p**3, turn))
    return found
