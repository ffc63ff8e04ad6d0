"""What rosbag2 states of a recording in its metadata.yaml: the files that belong to it, and how many messages they hold."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

MOST = 1 << 20
"""Bytes of it that are looked at."""
_COUNT = re.compile(r"^  message_count: *(\d{1,18}) *$", re.MULTILINE)
_FILES = re.compile(r"^  relative_file_paths: *\n((?: {2,8}- .{1,1000}\n?)+)", re.MULTILINE)
_PACKED = re.compile(r"\.zstd?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class BagDescription:
    """The names of the files, without their folders and without what they were packed by, and the number of messages in all of them."""

    files: tuple[str, ...]
    messages: int | None

    @staticmethod
    def of(body: bytes) -> BagDescription | None:
        """What a metadata.yaml states; None where it is no description of rosbag2. It is searched, not parsed."""
        text = body[:MOST].decode("utf-8", "replace").replace("\r\n", "\n")
        listed = _FILES.search(text)
        if not text.lstrip().startswith("rosbag2_bagfile_information:") or listed is None:
            return None
        count = _COUNT.search(text)
        names = [line.strip()[2:].strip().strip("'\"") for line in listed[1].splitlines()]
        return BagDescription(tuple(map(plain, names)), int(count[1]) if count else None)

    def missing(self, there: Collection[str]) -> list[str]:
        """The files that are not among those that are there."""
        return [name for name in self.files if name not in there]


def plain(name: str) -> str:
    """The name of a file without its folder, and without the ending of what it was packed by."""
    return _PACKED.sub("", name.rpartition("/")[2])
