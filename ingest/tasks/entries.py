"""What an upload holds, seen inside the cage: itself, or the sources in a zip, grouped as files beside one another are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from ingest.grouping import Grouping, group_archive
from ingest.reader import Source
from ingest.readers import sniff
from ingest.tasks.packed import unpacked
from ingest.tasks.unpack import is_zip, unpack
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid

MOST = 500
"""Sources in one zip."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One source of an upload. `inside` is its name in the zip, "" where the upload is this source; `findings` are about what was left."""

    source: Source
    inside: str = ""
    findings: tuple[Finding, ...] = ()

    def refuse_zip(self) -> None:
        """Pass for all but a zip inside a zip.

        Raises: Invalid: `format.unsupported`.
        """
        if is_zip(self.source.path):
            sniff.format_of_bytes(self.source.head(), self.source.name)


def entries(path: Path, name: str, scratch: Path, labels: Mapping[str, str]) -> list[Entry]:
    """The sources of an upload called `name`, in the order of their names; what is packed is unpacked below `scratch`.

    `labels`: what the uploader called the files of a folder (`Source.labels`).

    Raises: Invalid: what `unpack` raises; `zip.too_many`: more than `MOST` sources.
    """
    found = _found(path, name, scratch, labels)
    return [replace(one, source=unpacked(one.source, scratch / f".whole-{number}")) for number, one in enumerate(found)]


def _found(path: Path, name: str, scratch: Path, labels: Mapping[str, str]) -> list[Entry]:
    if not is_zip(path):
        return [Entry(_whole(Source.of(path, name, labels)))]
    whole = unpack(path, name, scratch)
    inside = {whole.labels[file.relative_to(scratch).as_posix()]: file for file in whole.files}
    found = group_archive(inside)
    if len(found.groups) > MOST:
        text = f"{name} holds {len(found.groups)} data sets; at most {MOST} are read. Pack them into several archives."
        raise Invalid("zip.too_many", text, file=name)
    return _entries(found, inside, scratch, whole) or [Entry(whole)]


def _whole(source: Source) -> Source:
    """The source, with each file that was sent: what cannot be seen here would be lost without a word."""
    if source.labels and len(source.files) != len(source.labels):
        text = f"{len(source.labels)} files of {source.name} were sent and {len(source.files)} are here. Tell the operator."
        raise Invalid("files.lost", text, file=source.name)
    return source


def _entries(found: Grouping, inside: dict[str, Path], folder: Path, whole: Source) -> list[Entry]:
    alone, name = len(found.groups) == 1, whole.name
    made = []
    for number, group in enumerate(found.groups):
        files = tuple(inside[member] for member in group.members)
        path = files[0] if len(files) == 1 else folder
        labels = whole.labels if path == folder else {path.name: PurePosixPath(group.members[0]).name}
        source = Source(path, name if alone else f"{name}/{group.name}", files, sum(file.stat().st_size for file in files), labels)
        made.append(Entry(source, "" if alone else group.name, () if number else tuple(found.findings(name))))
    return made
