"""What ingest hands to the catalogue: the result of one job, before it is anything in the exchange."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tiles.batch import Content, EncodedTile, LayerKind

Box = tuple[float, float, float, float]
"""(west, south, east, north) in degrees WGS 84."""


class FindingLike(Protocol):
    """One thing found in a source (see `ingest.findings.Finding`)."""

    @property
    def severity(self) -> str:
        """Error | warning | info."""
        ...

    @property
    def code(self) -> str:
        """Stable code."""
        ...

    @property
    def file(self) -> str:
        """The uploader's name of the file."""
        ...

    @property
    def layer(self) -> str:
        """Layer, or ""."""
        ...

    @property
    def feature(self) -> str:
        """Record in the file, or ""."""
        ...

    @property
    def value(self) -> str:
        """The offending value, or ""."""
        ...

    @property
    def message(self) -> str:
        """What and why."""
        ...

    @property
    def fix(self) -> str:
        """What to do."""
        ...

    @property
    def lon(self) -> float | None:
        """Degrees WGS 84, when known."""
        ...

    @property
    def lat(self) -> float | None:
        """Degrees WGS 84, when known."""
        ...

    @property
    def count(self) -> int:
        """For how many records it speaks."""
        ...


@dataclass(frozen=True, slots=True)
class DraftFinding:
    """A finding of the catalogue itself."""

    severity: str
    code: str
    message: str
    fix: str
    layer: str = ""
    value: str = ""
    file: str = ""
    feature: str = ""
    lon: float | None = None
    lat: float | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class DraftSource:
    """One file that was read: the uploader's name, what it really was, the format that was found."""

    name: str
    sha256: str
    size: int
    format: str


@dataclass(frozen=True, slots=True)
class DraftLayer:
    """One layer. `read` = `placed` + `unplaced` + `rejected` records; `placed` is what its tiles own.

    `footage`: it shows, or may show, pictures of the street; the catalogue then raises its class to `original`.
    `crs_source`, `height_source`: file | given | guessed | none. Times are UTC nanoseconds. `own`: least x, least y, greatest x,
    greatest y as the files write them, while nothing says where they lie.
    """

    name: str
    kind: LayerKind
    content: Content
    read: int
    placed: int
    unplaced: int = 0
    rejected: int = 0
    footage: bool = False
    box: Box | None = None
    crs: str | None = None
    crs_source: str = "none"
    height_datum: str = "unknown"
    height_source: str = "none"
    note: str = ""
    first_ns: int | None = None
    last_ns: int | None = None
    own: Box | None = None


@dataclass(frozen=True, slots=True)
class DraftPreview:
    """One preview of a layer: `kind` is facts, teaser, cloud, still, strip or clip; `ordinal` counts the pictures of a strip.

    `sha256` is "" and `size` 0 when all of it is in `about` (facts); else it names the object, which lies in the store already.
    """

    layer: str
    kind: str
    ordinal: int
    sha256: str
    size: int
    media_type: str
    about: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Draft:
    """The result of a job. `tiles` may be an iterator and is read once; each tile names its layer.

    `unplaced`: some source has no coordinate reference system; the version then waits for `catalogue.answer_placement`.
    An error among the findings makes it rejected. In both cases `tiles` is not read. `tools` are versions of what did the work.
    """

    sources: Sequence[DraftSource]
    layers: Sequence[DraftLayer]
    tiles: Iterable[EncodedTile]
    findings: Sequence[FindingLike] = ()
    unplaced: bool = False
    tools: Mapping[str, str] = field(default_factory=dict)
    previews: Sequence[DraftPreview] = ()
