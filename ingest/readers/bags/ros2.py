"""Reading the SQLite file of a rosbag2 recording, which is never changed: every row of its messages, in the order of recording.

Its topics become channels and schemas of MCAP, as rosbag2's own MCAP files have them. What a recorder that died left in the log beside the
file (`-wal`) belongs to it and is read too. Of a file that is cut, or damaged inside, the rows that can be read are given.
Source: rosbag2_storage_sqlite3, sqlite_storage.cpp (versions 1 to 4 of the schema); https://www.sqlite.org/uri.html
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import apsw
from mcap.records import Channel, Header, Metadata, Schema

from ingest.checks.gpkg import quoted
from tiles.frames.mcap_scan import RECORD_LIMIT, Damage, Item, Message

MAGIC = b"SQLite format 3\x00"
_JOURNAL = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
ABOUT = "rosbag2_sqlite3"
"""Name of the metadata record that holds what the file states of itself."""

_NEEDED = {"topics": {"id", "name", "type", "serialization_format"}, "messages": {"topic_id", "timestamp", "data"}}
_FLAGS = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
_MOST_TEXT, _MOST_ROWS = 32 << 20, 20_000
"""Of definitions and topics; pages of a file that come again would give them without end."""
_DEFINITIONS = (
    "SELECT CAST(topic_type AS BLOB), CAST(encoding AS BLOB), CAST(encoded_message_definition AS BLOB) "
    f"FROM message_definitions LIMIT {_MOST_ROWS}"
)
_MOST_STEPS = 64
"""Leaps over rows that cannot be read, each twice as far as the one before; then nothing more is there."""


@dataclass(slots=True)
class Ros2Scan:
    """What a scan has met; the same members as `tiles.frames.mcap_scan.McapScan`. `log` is the file beside it with the last changes."""

    path: Path
    log: Path | None = None
    messages: int = 0
    attachments: int = 0
    orphans: int = 0
    unusable: int = 0
    first_unusable: str = ""
    damaged: Damage = field(default_factory=Damage)
    fault: str = ""
    claimed: int | None = None
    _schemas: dict[int, Schema] = field(default_factory=dict)
    _channels: dict[int, Channel] = field(default_factory=dict)

    def items(self) -> Iterator[Item]:
        """Header, metadata, schemas, channels and messages; each channel before its first message."""
        try:
            with closing(self._opened()) as db:
                tables = _tables(db)
                if missing := next((name for name, columns in _NEEDED.items() if not columns <= tables.get(name, set())), None):
                    self.fault = f"The file is SQLite, but no recording of rosbag2: it has no table {missing} of its form."
                    return
                if _is_unfinished(self.path):
                    self.damaged.append("the last transaction, which was not finished")
                yield Header(profile="ros2", library="")
                yield from self._about(db, tables)
                yield from self._topics(db, tables)
                yield from self._messages(db)
        except (apsw.Error, UnicodeDecodeError) as error:
            self.fault = self.fault or f"The file cannot be read as SQLite ({error})."

    def _opened(self) -> apsw.Connection:
        """The file: immutable where it is alone, and with its log where there is one."""
        if self.log is None and (whole := _whole_size(self.path)) > (size := self.path.stat().st_size):
            self.fault = f"The file ends at byte {size} and states {whole} bytes: it was cut."
            return _cut(self.path)
        return _immutable(self.path) if self.log is None else _with_log(self.path)

    def _about(self, db: apsw.Connection, tables: dict[str, set[str]]) -> Iterator[Item]:
        """What newer recorders write of the whole: version of the schema, ROS distribution, a copy of metadata.yaml."""
        found: dict[str, str] = {}
        for table, column in (("schema", "schema_version"), ("schema", "ros_distro"), ("metadata", "metadata")):
            if column in tables.get(table, ()):
                last = f"SELECT CAST({column} AS BLOB) FROM {table} ORDER BY rowid DESC LIMIT 1"  # noqa: S608 - both are ours
                if (value := db.execute(last).get) is not None:
                    found[column] = _text(value)
        if found:
            yield Metadata(name=ABOUT, metadata=found)

    def _topics(self, db: apsw.Connection, tables: dict[str, set[str]]) -> Iterator[Item]:
        definitions = self._definitions(db, tables)
        more = [name for name in ("offered_qos_profiles", "type_description_hash") if name in tables["topics"]]
        size = 0
        texts = ", ".join(f"CAST({name} AS BLOB)" for name in ("name", "type", "serialization_format", *more))
        asked = f"SELECT id, {texts} FROM topics LIMIT {_MOST_ROWS}"  # noqa: S608 - all of it is ours
        for number, topic, kind, encoding, *values in db.execute(asked):
            size += sum(len(value) for value in (topic, kind, encoding, *values) if isinstance(value, bytes))
            if size > _MOST_TEXT:
                self.damaged.append(f"topics: their names have more than {_MOST_TEXT >> 20} MiB")
                return
            if number in self._channels:
                continue
            form, text = definitions.get(kind, ("ros2msg", b""))
            schema = Schema(id=len(self._schemas) + 1, name=_text(kind), encoding=form, data=text)
            self._schemas[schema.id] = schema
            named = {"type_description_hash": "topic_type_hash"}
            metadata = {named.get(name, name): _text(value) for name, value in zip(more, values, strict=True) if value}
            channel = Channel(id=number, topic=_text(topic), message_encoding=_text(encoding), metadata=metadata, schema_id=schema.id)
            self._channels[number] = channel
            yield schema
            yield channel

    def _definitions(self, db: apsw.Connection, tables: dict[str, set[str]]) -> dict[object, tuple[str, bytes]]:
        """Encoding and text of each type that has a definition in the file (from ROS 2 Iron on)."""
        if not {"topic_type", "encoding", "encoded_message_definition"} <= tables.get("message_definitions", set()):
            return {}
        found: dict[object, tuple[str, bytes]] = {}
        size = 0
        for kind, form, text in db.execute(_DEFINITIONS):
            size += len(text) if isinstance(text, bytes) else 0
            if size > _MOST_TEXT:
                self.damaged.append(f"definitions of messages: they have more than {_MOST_TEXT >> 20} MiB")
                break
            if isinstance(text, bytes) and text:
                found[kind] = _text(form), text
        return found

    def _messages(self, db: apsw.Connection) -> Iterator[Item]:
        last = -(1 << 63)
        leap = 0
        while leap < _MOST_STEPS:
            try:
                for row, item in self._rows(db, last):
                    last, leap = row, 0
                    if item is not None:
                        yield item
            except (apsw.Error, _TurnedError) as error:
                if leap == 0 and not self.fault:
                    self.damaged.append(f"rows behind row {last}: {error}")
                last, leap = min(last + (1 << leap), (1 << 63) - 1), leap + 1
                continue
            return

    def _rows(self, db: apsw.Connection, behind: int) -> Iterator[tuple[int, Message | None]]:
        """Rows of messages behind one, with the message of each that can be given out."""
        form = "CASE WHEN typeof(data) = 'blob' AND length(data) <= ? THEN data END"
        asked = f"SELECT rowid, topic_id, timestamp, {form} FROM messages WHERE rowid > ? ORDER BY rowid"  # noqa: S608 - all of it is ours
        for row, topic, t_ns, data in db.execute(asked, (RECORD_LIMIT, behind)):
            if row <= behind:
                raise _TurnedError("its pages come again")  # in a circle they would without end
            behind, message = row, None
            if data is None or not isinstance(t_ns, int) or t_ns < 0:
                self.unusable += 1
                self.first_unusable = self.first_unusable or f"row {row}"
            elif topic not in self._channels:
                self.orphans += 1
            else:
                self.messages += 1
                message = Message(topic, 0, t_ns, t_ns, memoryview(data))
            yield row, message

    def schema_of(self, channel: Channel) -> Schema | None:
        """The schema of a channel that was given out."""
        return self._schemas.get(channel.schema_id)


class _TurnedError(ValueError):
    """Rows that do not come in their order."""


def _text(value: object) -> str:
    """A value of the file as text; bytes that are none stay visible."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def _tables(db: apsw.Connection) -> dict[str, set[str]]:
    """The plain tables of a file and their columns; views, virtual tables and computed columns are never run."""
    rows = db.execute(
        "SELECT CAST(name AS BLOB), CAST(coalesce(sql, '') AS BLOB) FROM sqlite_master WHERE type = 'table' LIMIT 1000"
    ).fetchall()
    texts = [(_text(name), _text(sql).lstrip().upper()) for name, sql in rows]
    plain = [name for name, sql in texts if not sql.startswith("CREATE VIRTUAL") and "WITHOUT ROWID" not in sql]
    return {name: {_text(column[1]) for column in db.execute(f"PRAGMA table_xinfo({quoted(name)})") if column[6] == 0} for name in plain}


def counted(path: Path) -> int | None:
    """The number of the last message, which rosbag2 counts from 1; None when it cannot be known."""
    try:
        with closing(_immutable(path)) as db:
            if "timestamp" not in _tables(db).get("messages", ()):
                return None
            last = db.execute("SELECT max(rowid) FROM messages").get  # counting would walk pages that come again without end
            return max(0, int(last)) if last is not None else 0
    except (apsw.Error, UnicodeDecodeError):
        return None


def _immutable(path: Path, vfs: str = "unix") -> apsw.Connection:
    """No lock is taken, and no file beside it is looked for."""
    db = apsw.Connection(f"{path.resolve().as_uri()}?immutable=1&vfs={vfs}", _FLAGS)
    db.execute("PRAGMA trusted_schema = OFF")
    db.limit(apsw.SQLITE_LIMIT_LENGTH, RECORD_LIMIT + (1 << 16))
    return db


def _with_log(path: Path) -> apsw.Connection:
    """What is in the log counts too; its index is made in memory, and no file beside it is written."""
    db = apsw.Connection(f"{path.resolve().as_uri()}?vfs=unix-none", _FLAGS)
    db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("PRAGMA trusted_schema = OFF")
    db.limit(apsw.SQLITE_LIMIT_LENGTH, RECORD_LIMIT + (1 << 16))
    return db


def _cut(path: Path) -> apsw.Connection:
    """A file with fewer pages than it states, which SQLite opens only so; of its last page, which is cut, it would read zeros as data."""
    with path.open("rb") as stream:
        page = _page(stream.read(100))
    db = _immutable(path, _whole_pages(page).name)
    db.execute("PRAGMA writable_schema = ON")  # nothing is ever written
    return db


class _WholePages(apsw.VFS):
    """Files as they are, but for a last page that is not whole."""

    def __init__(self, page: int) -> None:
        self.name, self._page = f"mapex-{page}", page
        super().__init__(self.name, "unix")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - a name of SQLite's
        """Open a file."""
        return _WholePagesFile("unix", name, flags, self._page)


@cache
def _whole_pages(page: int) -> _WholePages:
    """One for each size of pages, kept: SQLite knows it by its name."""
    return _WholePages(page)


class _WholePagesFile(apsw.VFSFile):
    def __init__(self, inner: str, name: Any, flags: list[int], page: int) -> None:
        super().__init__(inner, name, flags)
        self._page = page

    def xFileSize(self) -> int:  # noqa: N802 - a name of SQLite's
        """Bytes of the whole pages."""
        return int(super().xFileSize()) // self._page * self._page


def _is_unfinished(path: Path) -> bool:
    """Whether a journal is beside the file that its writer would have to roll back (SQLite file format 3)."""
    journal = path.with_name(f"{path.name}-journal")
    if not journal.is_file():
        return False
    with journal.open("rb") as stream:
        return stream.read(len(_JOURNAL)) == _JOURNAL


def _page(head: bytes) -> int:
    size = int.from_bytes(head[16:18], "big")
    return 65536 if size <= 1 else size


def _whole_size(path: Path) -> int:
    """The bytes that a file should have as its head states, 0 where that is not valid (SQLite file format 1.3.8)."""
    with path.open("rb") as stream:
        head = stream.read(100)
    return _page(head) * int.from_bytes(head[28:32], "big") if len(head) == 100 and head[24:28] == head[92:96] else 0
