"""Bags of ROS 1 and ROS 2, written byte for byte by these lines and row for row by sqlite3, with messages in both encodings."""

from __future__ import annotations

import bz2
import sqlite3
import struct
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

S = 1_000_000_000
T0 = 1_790_000_000 * S


class Topic(NamedTuple):
    """A topic with its type and definition; `more` are other fields of its header, or columns of its row."""

    name: str
    type: str
    definition: bytes
    more: tuple[tuple[str, str], ...] = ()


Sent = tuple[int, int, bytes]
"""Number of the topic, time, message."""


def fields(**named: bytes | int | str) -> bytes:
    """The header of a record; integers are four bytes."""
    found = b""
    for name, value in named.items():
        body = value.encode() if isinstance(value, str) else struct.pack("<I", value) if isinstance(value, int) else value
        found += struct.pack("<I", len(name) + 1 + len(body)) + name.encode() + b"=" + body
    return found


def record(head: bytes, body: bytes) -> bytes:
    return struct.pack("<I", len(head)) + head + struct.pack("<I", len(body)) + body


def connection(number: int, topic: Topic) -> bytes:
    about: dict[str, bytes | int | str] = {
        "topic": topic.name,
        "type": topic.type,
        "md5sum": "0" * 32,
        "message_definition": topic.definition,
        **dict(topic.more),
    }
    return record(fields(op=b"\x07", conn=number, topic=topic.name), fields(**about))


def message(sent: Sent) -> bytes:
    number, t_ns, body = sent
    return record(fields(op=b"\x02", conn=number, time=struct.pack("<II", t_ns // S, t_ns % S)), body)


def packed(compression: str, body: bytes) -> bytes:
    import lz4.frame

    return bytes({"none": bytes, "bz2": bz2.compress, "lz4": lz4.frame.compress}[compression](body))


def ros1(topics: Sequence[Topic], messages: Iterable[Sent], *, compression: str = "none", a_chunk: int = 100, index: bool = True) -> bytes:
    """A bag; `index`: whether it was closed, else it ends like `x.bag.active`."""
    sent = list(messages)
    out = b"#ROSBAG V2.0\n" + _head(0, 0, 0)
    infos = []
    known: set[int] = set()
    for begin in range(0, len(sent), a_chunk):
        some = sent[begin : begin + a_chunk]
        inner = b""
        for one in some:
            inner += b"" if one[0] in known else connection(one[0], topics[one[0]])
            known.add(one[0])
            inner += message(one)
        infos.append((len(out), some))
        out += record(fields(op=b"\x05", compression=compression, size=len(inner)), packed(compression, inner))
        out += b"".join(record(fields(op=b"\x04", ver=1, conn=n, count=0), b"") for n in sorted({one[0] for one in some}))
    if not index:
        return out
    end = len(out)
    for number, topic in enumerate(topics):
        out += connection(number, topic)
    for place, some in infos:
        counts = {n: sum(one[0] == n for one in some) for n in sorted({one[0] for one in some})}
        body = b"".join(struct.pack("<II", *pair) for pair in counts.items())
        out += record(fields(op=b"\x06", ver=1, chunk_pos=struct.pack("<Q", place), count=len(counts)), body)
    return out[:13] + _head(end, len(topics), len(infos)) + out[13 + 4096 + 8 :]


def _head(index: int, connections: int, chunks: int) -> bytes:
    head = fields(op=b"\x03", index_pos=struct.pack("<Q", index), conn_count=connections, chunk_count=chunks)
    return record(head, b" " * (4096 - len(head)))


def ros2(path: Path, topics: Sequence[Topic], messages: Iterable[Sent], *, version: int = 4) -> Path:
    """The SQLite file of a recording, in the form of ROS 2 Foxy (1), Galactic (2), Humble (3) or Iron (4)."""
    with closing(sqlite3.connect(path)) as db:
        columns = ["id INTEGER PRIMARY KEY", "name TEXT NOT NULL", "type TEXT NOT NULL", "serialization_format TEXT NOT NULL"]
        columns += ["offered_qos_profiles TEXT NOT NULL"] * (version >= 2) + ["type_description_hash TEXT NOT NULL"] * (version >= 4)
        db.execute(f"CREATE TABLE topics({', '.join(columns)})")
        db.execute(
            "CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL, timestamp INTEGER NOT NULL, data BLOB NOT NULL)"
        )
        db.execute("CREATE INDEX timestamp_idx ON messages (timestamp ASC)")
        if version >= 3:
            db.execute("CREATE TABLE schema(schema_version INTEGER PRIMARY KEY, ros_distro TEXT NOT NULL)")
            db.execute("INSERT INTO schema VALUES (?, 'iron')", (version,))
        if version >= 4:
            db.execute(
                "CREATE TABLE message_definitions(id INTEGER PRIMARY KEY, topic_type TEXT NOT NULL, encoding TEXT NOT NULL, "
                "encoded_message_definition TEXT NOT NULL, type_description_hash TEXT NOT NULL)"
            )
        for number, topic in enumerate(topics):
            row = [number, topic.name, topic.type, "cdr", *["- history: 3"] * (version >= 2), *["RIHS01_00"] * (version >= 4)]
            db.execute(f"INSERT INTO topics VALUES ({', '.join('?' * len(row))})", row)
            if version >= 4:
                db.execute("INSERT INTO message_definitions VALUES (NULL, ?, 'ros2msg', ?, '')", (topic.type, topic.definition.decode()))
        db.executemany("INSERT INTO messages VALUES (NULL, ?, ?, ?)", messages)
        db.commit()
    return path
