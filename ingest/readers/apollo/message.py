"""What both forms of an Apollo map become: elements, one after another, each a tree of plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ingest.readers.apollo.schema import SchemaField

MAX_ELEMENT = 64 << 20
"""Bytes of one element."""
MAX_DEPTH = 32

Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class MapElement:
    """One element of the map: `name` as the map calls it (`lane`, `stop_sign`), and its fields."""

    name: str
    fields: Tree

    @property
    def id(self) -> str:
        """Its own identifier, "" when it has none."""
        found = self.fields.get("id", "")
        return found if isinstance(found, str) else ""


def put(tree: Tree, name: str, value: Any, repeats: bool) -> None:
    """Add a value of a field; one that comes again although it must not becomes a list, so that nothing is lost."""
    if name not in tree:
        tree[name] = [value] if repeats else value
    elif repeats:
        tree[name].append(value)
    else:
        tree.setdefault("repeated", []).append([name, value])


def settled(kind: str, tree: Tree) -> Any:
    """A message as it is kept: an id as its word, a point as its numbers."""
    if kind == "Id" and tree.keys() <= {"id"}:
        return tree.get("id", "")
    if kind == "Point" and tree.keys() <= {"x", "y", "z"}:
        return tree.get("x", float("nan")), tree.get("y", float("nan")), tree.get("z")
    return tree


def kind_of(field: SchemaField | None) -> str:
    """The type of a field; "" of one that the schema does not know."""
    return field.kind if field is not None else ""
