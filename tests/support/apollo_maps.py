"""Apollo maps of tests in both forms, made by Google's own library from the table of fields."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ingest.readers.apollo.schema import ENUMS, MESSAGES

SCALARS = {"double": "TYPE_DOUBLE", "text": "TYPE_STRING", "bool": "TYPE_BOOL", "int": "TYPE_INT32"}
HEADER = 'header { version: "1.5" projection { proj: "+proj=utm +zone=52 +datum=WGS84 +units=m +no_defs" } left: 127.0 bottom: 37.3 }\n'


@lru_cache(maxsize=1)
def map_class() -> Any:
    """The class of messages `Map`."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    one = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="map.proto", package="map", syntax="proto2")
    for name, words in ENUMS.items():
        found = file.message_type.add(name=f"Of{name}").enum_type.add(name=name)
        for number, word in words.items():
            found.value.add(name=word, number=number)
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field in fields.values():
            label = one.LABEL_REPEATED if field.repeats else one.LABEL_OPTIONAL
            made = message.field.add(name=field.name, number=field.number, label=label)
            made.type = getattr(one, SCALARS.get(field.kind, "TYPE_ENUM" if field.kind in ENUMS else "TYPE_MESSAGE"))
            if field.kind not in SCALARS:
                made.type_name = f".map.Of{field.kind}.{field.kind}" if field.kind in ENUMS else f".map.{field.kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("map.Map"))


def as_binary(text: str) -> bytes:
    """A map that is given as text in the wire format."""
    from google.protobuf import text_format

    made: bytes = text_format.Parse(text, map_class()()).SerializeToString()
    return made


def points(*places: tuple[float, ...]) -> str:
    """Points of a line or polygon as text."""
    return "".join(
        "point { " + " ".join(f"{axis}: {value!r}" for axis, value in zip("xyz", place, strict=False)) + " } " for place in places
    )


def line(*places: tuple[float, ...]) -> str:
    """The inside of a curve as text."""
    return f"segment {{ line_segment {{ {points(*places)} }} }}"
