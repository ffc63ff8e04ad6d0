"""What stands beside a map of Autoware about where its local metres are: `map_projector_info.yaml`.

Source: Autoware documentation, map_projection_loader. Its YAML is one level of words and one block, so that no library is needed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ingest.formats import is_projector
from ingest.placing.mgrs import square
from ingest.reader import Source
from mapex.errors import Invalid

MAX_BYTES = 64 << 10
_LINE = re.compile(r"\s*([A-Za-z_]+)\s*:\s*[\"']?([^\"'#]*?)[\"']?\s*(?:#.*)?")


@dataclass(frozen=True, slots=True)
class Projector:
    """How local metres are meant: `kind` as Autoware calls it (`MGRS`, `LocalCartesianUTM`, ...), `grid` the 100-km square of MGRS."""

    kind: str
    grid: str

    @property
    def is_grid(self) -> bool:
        """Whether it names a square that exists."""
        return self.kind == "MGRS" and square(self.grid) is not None


def map_of(source: Source) -> Source:
    """The map of a source, which may be a folder with the file that describes it.

    Raises: Invalid: `format.several`: there is not one map in it.
    """
    if not source.path.is_dir():
        return source
    maps = [path for path in source.files if not is_projector(source.label(path))]
    if len(maps) != 1:
        raise Invalid("format.several", f"{source.name} holds {len(maps)} maps. Upload them one by one.", file=source.name)
    return Source.of(maps[0], source.name)


def projector_of(source: Source) -> Projector | None:
    """What the file beside the map states, or None where there is none."""
    path = next((path for path in source.files if is_projector(source.label(path))), None) if source.path.is_dir() else None
    if path is None:
        return None
    with path.open("rb") as file:
        lines = file.read(MAX_BYTES).decode("utf-8-sig", "replace").splitlines()
    found = {match[1]: match[2] for line in lines if (match := _LINE.fullmatch(line)) is not None}
    return Projector(found.get("projector_type", ""), found.get("mgrs_grid", "").strip())
