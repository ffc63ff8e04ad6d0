"""OSM files of tests, written by osmium: none of it is read by what writes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

Element = tuple[str, dict[str, Any]]


def a_file(path: Path, elements: Sequence[Element]) -> Path:
    """Write elements in osmium's words (`id`, `location`, `nodes`, `members`, `tags`, ...); the ending of the path decides how."""
    import osmium

    path.unlink(missing_ok=True)
    with osmium.SimpleWriter(path) as writer:
        for kind, words in elements:
            made = {"node": osmium.osm.mutable.Node, "way": osmium.osm.mutable.Way, "relation": osmium.osm.mutable.Relation}[kind]
            getattr(writer, f"add_{kind}")(made(**words))
    return path


def copied(source: Path, path: Path) -> Path:
    """The same map with another ending."""
    import osmium

    path.unlink(missing_ok=True)
    with osmium.SimpleWriter(path) as writer:
        for element in osmium.FileProcessor(source):
            writer.add(element)
    return path
