"""What ingest hands to the catalogue: the result of one job, before it is anything in the exchange."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from mapex.catalogue.comparison import LayerComparison
from mapex.catalogue.finding import Finding
from mapex.intake.placement import Known
from mapex.times import NS, iso_from_ns
from tiles.batch import Content, EncodedTile, LayerKind
from tiles.box import Box

Extent = tuple[float, float, float, float]
"""Least x, least y, greatest x, greatest y, in the numbers of a file."""


@dataclass(frozen=True, slots=True)
class DraftSource:
    """One file that was read: the uploader's name, what it really was, the format that was found."""

    name: str
    sha256: str
    size: int
    format: str


@dataclass(frozen=True, slots=True)
class Counts:
    """Records of a layer: `read` = `placed` + `unplaced` + `rejected`, always."""

    read: int = 0
    placed: int = 0
    unplaced: int = 0
    rejected: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.read + other.read, self.placed + other.placed, self.unplaced + other.unplaced, self.rejected + other.rejected)

    @property
    def balance(self) -> bool:
        """Whether nothing was lost silently."""
        return self.read == self.placed + self.unplaced + self.rejected


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """What reading found out about a layer: one value from the cage's answer over the stored row to the API.

    `own`: the extent as the files write it, while nothing states where they are. `footage`: it shows, or may show, pictures of the
    street; its class is then `original` until `cleared` states who proved by what that nobody can be recognised. Times are UTC
    nanoseconds. `height_datum` is "ellipsoid", "EGM2008", "KVD1964", ... or "unknown"; `crs` and `height_datum` are "several" where
    the sources of a layer differ. `accuracy_m`: metres that the way from `crs` to WGS 84 may be off, None when nobody knows.
    """

    counts: Counts = Counts()
    box: Box | None = None
    own: Extent | None = None
    crs: str | None = None
    crs_source: Known = Known.NONE
    height_datum: str = "unknown"
    height_source: Known = Known.NONE
    note: str = ""
    footage: bool = False
    first_ns: int | None = None
    last_ns: int | None = None
    cleared: str | None = None
    accuracy_m: float | None = None

    @property
    def captured(self) -> list[str]:
        """First and last moment of capture in ISO 8601; empty when nobody knows."""
        return [iso_from_ns(ns) for ns in (self.first_ns, self.last_ns) if ns is not None]

    def as_json(self) -> dict[str, Any]:
        """The JSON object that a layer's row keeps (column `about`) and the API shows; what not every layer has only where it is known."""
        return {
            "crs": self.crs,
            "crs_source": str(self.crs_source),
            "height_datum": self.height_datum,
            "height_source": str(self.height_source),
            "note": self.note,
            "box": list(self.box) if self.box else None,
            "counts": asdict(self.counts),
            "footage": self.footage,
            "captured": self.captured or None,
            **({"own": list(self.own)} if self.own else {}),
            **({"cleared": self.cleared} if self.cleared is not None else {}),
            **({"accuracy_m": self.accuracy_m} if self.accuracy_m is not None else {}),
        }

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> LayerFacts:
        """The facts of a stored JSON object; what it does not name is not known."""
        captured = [_ns_of(text) for text in record.get("captured") or ()]
        box, own = record.get("box"), record.get("own")
        return LayerFacts(
            counts=Counts(**(record.get("counts") or {})),
            box=Box(*box) if box else None,
            own=(own[0], own[1], own[2], own[3]) if own else None,
            crs=record.get("crs"),
            crs_source=Known(record.get("crs_source", Known.NONE)),
            height_datum=record.get("height_datum", "unknown"),
            height_source=Known(record.get("height_source", Known.NONE)),
            note=record.get("note", ""),
            footage=bool(record.get("footage", False)),
            first_ns=captured[0] if captured else None,
            last_ns=captured[1] if len(captured) > 1 else None,
            cleared=record.get("cleared"),
            accuracy_m=record.get("accuracy_m"),
        )

    def with_source(self, other: LayerFacts) -> LayerFacts:
        """The facts of this layer when another source fills it too: counts summed, boxes and times united, the weakest knowledge kept."""
        firsts = [t for t in (self.first_ns, other.first_ns) if t is not None]
        lasts = [t for t in (self.last_ns, other.last_ns) if t is not None]
        accuracies = [a for a in (self.accuracy_m, other.accuracy_m) if a is not None]
        notes = [note for note in (self.note, other.note) if note]
        return LayerFacts(
            counts=self.counts + other.counts,
            box=Box.around(box for box in (self.box, other.box) if box),
            own=widest(self.own, other.own),
            crs=self.crs if self.crs == other.crs else "several",
            crs_source=weakest(self.crs_source, other.crs_source),
            height_datum=self.height_datum if self.height_datum == other.height_datum else "several",
            height_source=weakest(self.height_source, other.height_source),
            note=self.note if self.note == other.note else "; ".join(notes)[:2000],
            footage=self.footage or other.footage,
            first_ns=min(firsts, default=None),
            last_ns=max(lasts, default=None),
            accuracy_m=max(accuracies) if len(accuracies) == 2 else None,
        )


def weakest(*known: Known) -> Known:
    """The weakest way in which any of several things is known."""
    return max(known, key=list(Known).index)


def widest(a: Extent | None, b: Extent | None) -> Extent | None:
    """The extent of both; the other one when one is not known."""
    if a is None or b is None:
        return a or b
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def _ns_of(text: str) -> int:
    """Inverse of `iso_from_ns`, in the whole range of 64 bits: what was stored once must always be read."""
    since = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * NS + since.microseconds * 1000


@dataclass(frozen=True, slots=True)
class DraftLayer:
    """One layer that was read: what it holds, and what is known about it. Its tiles own `facts.counts.placed` records."""

    name: str
    kind: LayerKind
    content: Content
    facts: LayerFacts


@dataclass(frozen=True, slots=True)
class DraftPreview:
    """One preview of a layer: `kind` is facts, names, attributes, teaser, cloud, still, strip or clip; `ordinal` counts those of a kind.

    `sha256` is "" and `size` 0 when all of it is in `about` (facts); else it names the object, which is in the store already.
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
    findings: Sequence[Finding] = ()
    unplaced: bool = False
    tools: Mapping[str, str] = field(default_factory=dict)
    previews: Sequence[DraftPreview] = ()
    changes: Sequence[LayerComparison] = ()
