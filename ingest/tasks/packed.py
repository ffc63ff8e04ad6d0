"""Recordings that were packed as a whole (rosbag2's mode FILE: `x.db3.zstd`, `x.mcap.zstd`), unpacked in the cage before they are read."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from ingest.reader import Source
from ingest.tasks.unpack import MAX_UNPACKED
from mapex.errors import Invalid
from tiles import extras

MAGIC = b"\x28\xb5\x2f\xfd"
_PACKED = re.compile(r"\.(mcap|bag|db3)\.zstd?$", re.IGNORECASE)
_WINDOW = 128 << 20
_PIECE = 1 << 20


def unpacked(source: Source, folder: Path) -> Source:
    """The source with its packed recordings unpacked below `folder`; the other files are where they were, under links.

    A file that is cut is unpacked as far as it goes: its reader then finds that its end is missing.

    Raises: Invalid: `zip.too_large`.
    """
    packed = {path for path in source.files if _PACKED.search(source.label(path)) and _begins(path)}
    if not packed:
        return source
    labels, files, left = {}, [], MAX_UNPACKED
    for path in source.files:
        label = source.label(path)
        target = folder / (path.relative_to(source.path) if path != source.path else path.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path in packed:
            target, label = target.with_suffix(""), label.rpartition(".")[0]
            left -= _write(path, target, left, source.name)
        else:
            target.symlink_to(path.resolve())
        labels[target.relative_to(folder).as_posix()] = label
        files.append(target)
    size = sum(path.stat().st_size for path in files)
    is_alone = source.path in packed
    return replace(source, path=files[0] if is_alone else folder, files=tuple(sorted(files)), size=size, labels=labels)


def _begins(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


def _write(path: Path, target: Path, most: int, name: str) -> int:
    with extras.needed():
        import zstandard
    written = 0
    with path.open("rb") as stream, target.open("xb") as out:
        unpacker = zstandard.ZstdDecompressor(max_window_size=_WINDOW).stream_reader(stream, read_size=_PIECE, read_across_frames=True)
        try:
            while piece := unpacker.read(_PIECE):
                written += out.write(piece)
                if written > most:
                    raise Invalid("zip.too_large", f"{name} unpacks to {written} bytes; at most {most} are read.", file=name)
        except zstandard.ZstdError:
            return written
    return written
