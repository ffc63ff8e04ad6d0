"""The protocol of all readers, and the values that pass through it.

A reader runs only inside the cage (`ingest.cage.launch`): its library, its memory and its crashes are kept from everything else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mapex.catalogue.finding import Finding
from mapex.intake.placement import Known, Placement
from mapex.rules.licences import SourceLicence
from tiles.batch import Batch, Content, LayerKind
from tiles.box import Box


@dataclass(frozen=True, slots=True)
class Source:
    """One thing to read: a file, or a folder (`files` then lists its regular files, sorted, below `path`).

    `name` is the uploader's name, for messages. An uploaded zip reaches a reader *unpacked*, as a folder (`ingest.tasks.unpack`).
    `size` is in bytes, of all files together. `labels`: what the uploader called the files in the folder, by their path in it.
    """

    path: Path
    name: str
    files: tuple[Path, ...] = ()
    size: int = 0
    labels: Mapping[str, str] = field(default_factory=dict, compare=False)

    @staticmethod
    def of(path: Path, name: str = "", labels: Mapping[str, str] | None = None) -> Source:
        """The source at `path` (symbolic links inside a folder are left out)."""
        files = tuple(sorted(p for p in path.rglob("*") if p.is_file() and not p.is_symlink())) if path.is_dir() else (path,)
        return Source(path, name or path.name, files, sum(p.stat().st_size for p in files), labels or {})

    @property
    def names(self) -> tuple[str, ...]:
        """The uploader's name, and the names of its files in a folder: what they say about place and height."""
        return (self.name, *(map(self.label, self.files) if self.path.is_dir() else ()))

    def label(self, path: Path) -> str:
        """What the uploader called one of the files: its relative path in a folder or a zip."""
        if path == self.path:
            return self.labels.get(path.name, Path(self.name).name)
        inside = path.relative_to(self.path).as_posix()
        return self.labels.get(inside, inside)

    def head(self, length: int = 4096) -> bytes:
        """The first bytes of the file, b"" for a folder."""
        if self.path.is_dir():
            return b""
        with self.path.open("rb") as stream:
            return stream.read(length)


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the data is, and how that is known. `crs_source` is NONE when nobody knows: the source is then *unplaced*.

    `crs` is what the batches of the reader are in. `height_datum` is "ellipsoid", "EGM2008", "KVD1964", ... or "unknown".
    `note`: a guess or an assumption in words. `accuracy_m`: metres that the way to WGS 84 may be off, None when nobody knows.
    `columns`: of a table as text, which columns are what (`Placement.columns`).
    """

    crs: str | None
    crs_source: Known
    height_datum: str = "unknown"
    height_source: Known = Known.NONE
    origin: tuple[float, float, float] | None = None
    note: str = ""
    accuracy_m: float | None = None
    columns: tuple[tuple[str, str], ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether anything states where the source is; else its records are unplaced, and its seller is asked."""
        return self.crs is not None and self.crs_source is not Known.NONE


@dataclass(frozen=True, slots=True)
class Survey:
    """What the head of a source states, before all of it is read. `claimed` counts are what the file states, not what is true.

    `box` is None when the source is unplaced or does not state it. `licence`: what goes along with the data, wherever they are sold.
    """

    format: str
    layers: tuple[str, ...]
    claimed: int | None
    placed: Placed
    box: Box | None = None
    findings: tuple[Finding, ...] = ()
    details: Mapping[str, str] = field(default_factory=dict)
    licence: SourceLicence | None = None


class Reader(Protocol):
    """One format. Built without arguments; holds no state between calls.

    `layer`, `kind` and `content` are what it gives by default; a batch may state otherwise in its own fields. Rules:

    * memory is bounded: batches of at most some 100,000 rows or 64 MiB;
    * a record that cannot be used is a `Finding` with `rejected=1`, never silence; one that is only without a place stays in its
      batch (features: null geometry; frames: NaN lon/lat; points: never) and is counted as unplaced;
    * `Batch.meta["footage"]` is "no" when a recording provably shows no pictures; without it recordings and photos are footage;
    * a file that is cut, or whose header is false, gives an error finding when what can be used was read (of a recording a question:
      nobody can record it again, so its seller decides); `tiles.errors.InvalidContent` or `mapex.errors.Invalid` are raised only when
      nothing can be read at all.
    """

    format: str
    layer: str
    kind: LayerKind
    content: Content

    def survey(self, source: Source, given: Placement) -> Survey:
        """What the head states; reads a bounded amount."""
        ...

    def read(self, source: Source, placed: Placed) -> Iterator[Batch | Finding]:
        """All of it, in batches in `placed.crs`."""
        ...
