"""Apollo maps in the wire format: read element by element; no message is nested deeper than the schema."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

from ingest.readers.apollo.message import MAX_ELEMENT, MapElement, Tree, kind_of, put, settled
from ingest.readers.apollo.schema import ENUMS, MESSAGES
from ingest.readers.protobuf import LENGTH, Bytes, fields, packed, signed, varint

_HEADER_WIDTHS = {8: 8, 9: 8, 10: 8, 11: 8}


def is_map(head: bytes) -> bool:
    """Whether the first bytes are a header of a map, whole, with another element behind it or nothing."""
    if not head.startswith(b"\x0a"):
        return False
    try:
        size, at = varint(head, 1)
        body = head[at : at + size]
        parts = dict(fields(body)) if len(body) == size and size else {}
    except ValueError:
        return False
    texts = {number: value for number, value in parts.items() if isinstance(value, bytes)}
    fits = len(texts) == len(parts) and all(
        number in MESSAGES["Header"] and len(value) == _HEADER_WIDTHS.get(number, len(value)) for number, value in texts.items()
    )
    rest = head[at + size : at + size + 1]
    is_next = not rest or rest[0] >= 0x80 or (rest[0] & 7 == LENGTH and 1 < rest[0] >> 3 <= max(MESSAGES["Map"]))
    return fits and is_next and bool({1, 2, 3} & parts.keys())


def elements(file: BinaryIO) -> Iterator[MapElement]:
    """The elements of a map in order. Raises: ValueError: the file is cut or damaged from here on."""
    while lead := file.read(1):
        key = _number(file, lead)
        if key & 7 != LENGTH:
            raise ValueError("what stands between the elements is no element")
        size = _number(file, file.read(1))
        if size > MAX_ELEMENT:
            raise ValueError(f"an element of {size} bytes")
        body = file.read(size)
        if len(body) < size:
            raise ValueError("the file is cut")
        field = MESSAGES["Map"].get(key >> 3)
        name = field.name if field is not None else f"#{key >> 3}"
        tree = _message(body, kind_of(field)) if field is not None else {"#": base64.b64encode(body).decode()}
        yield MapElement(name, tree if isinstance(tree, dict) else {})


def _number(file: BinaryIO, lead: bytes) -> int:
    body = lead
    while body and body[-1] >= 0x80 and len(body) <= 10:
        more = file.read(1)
        if not more:
            break
        body += more
    return varint(body, 0)[0]


def _message(body: Bytes, kind: str) -> Any:
    tree: Tree = {}
    known = MESSAGES[kind]
    for number, raw in fields(body):
        field = known.get(number)
        if field is None:
            put(tree, f"#{number}", raw if isinstance(raw, int) else base64.b64encode(raw).decode(), repeats=True)
        elif field.kind in ENUMS and isinstance(raw, bytes):  # packed
            for value in packed(raw).tolist():
                put(tree, field.name, ENUMS[field.kind].get(value, value), field.repeats)
        else:
            put(tree, field.name, _value(field.kind, raw), field.repeats)
    return settled(kind, tree)


def _value(kind: str, raw: Any) -> Any:
    if kind == "double" and isinstance(raw, bytes) and len(raw) == 8:
        return struct.unpack("<d", raw)[0]
    if isinstance(raw, int):
        if kind in ENUMS:
            return ENUMS[kind].get(signed(raw), signed(raw))
        if kind in ("bool", "int"):
            return bool(raw) if kind == "bool" else signed(raw)
    elif kind == "text":
        return raw.decode("utf-8", "replace")
    elif kind in MESSAGES:
        return _message(raw, kind)
    raise ValueError(f"a value that is no {kind}")
