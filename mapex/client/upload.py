"""Uploading files: parts straight to the store, each bound to its sha256, resumed after a kill at any byte."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mapex.client.bar import Bar
from mapex.client.http import Client
from mapex.client.patience import STORE_AWAY, retry_after
from mapex.errors import Conflict, Invalid, Unavailable
from mapex.rules.parts import aside, is_part, shapefiles, with_parts

SIGN_GROUP = 16  # parts signed at once: their URLs must still be valid when their turn comes
_FULL = 507


@dataclass(frozen=True, slots=True)
class File:
    """One file to send: where it is, and the name it has for the exchange (relative, with `/`)."""

    path: Path
    name: str
    size: int


def files_of(paths: tuple[Path, ...], without: tuple[str, ...] = ()) -> list[File]:
    """The files named, each once: folders are gone through, and a `.shp` takes its parts along.

    Names of a folder's files are relative to the folder's parent. Parts and files beside the data in which nothing is are left out.

    Args:
        without: files that are not wanted, by their name or its last part; a `.shp` takes its parts along.
    Raises: Invalid: a path does not exist, a folder is empty, two files would have the same name, or one is not there to be left out.
    """
    found: dict[Path, File] = {}
    for path in paths:
        for file in _inside(path) if path.is_dir() else _alone(path):
            found.setdefault(file.path.resolve(), file)
    for path in _left_out(found.values(), without):
        del found[path]
    names = Counter(file.name for file in found.values())
    for name, count in names.items():
        if count > 1:
            raise Invalid("push.same_name", f"Two files are called {name}. Put them in one folder and push the folder.")
    beside = aside(names)
    return [file for file in found.values() if file.size or not (file.name in beside or is_part(file.name))]


def _left_out(files: Iterable[File], without: tuple[str, ...]) -> set[Path]:
    """The resolved paths of files that are not wanted."""
    by_name = {file.name: file.path.resolve() for file in files}
    sets = {part: parts for parts in shapefiles(by_name).values() for part in parts}
    out: set[Path] = set()
    for name in without:
        meant = [known for known in by_name if known == name or known.endswith(f"/{name}")]
        if not meant:
            raise Invalid("push.no_file", f"No file {name} is among those to be sent, so it cannot be left out. Check the name.")
        out |= {by_name[part] for known in meant for part in sets.get(known, (known,))}
    if out >= {*by_name.values()}:
        raise Invalid("push.nothing_left", "Nothing is left to send. Leave fewer files out.")
    return out


def _inside(folder: Path) -> list[File]:
    inside = sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink() and not p.name.startswith("."))
    if not inside:
        raise Invalid("push.empty_folder", f"{folder} is a folder without files. Name one that holds some.")
    top = folder.resolve().parent
    return [File(p, p.resolve().relative_to(top).as_posix(), p.stat().st_size) for p in inside]


def _alone(path: Path) -> list[File]:
    if not path.is_file():
        raise Invalid("push.no_file", f"{path} does not exist. Check the name.")
    return [File(p, p.name, p.stat().st_size) for p in with_parts(path)]


class Sending:
    """Files on their way to one exchange."""

    def __init__(self, client: Client, progress: Bar, total: int, *, streams: int) -> None:
        self.client, self.progress, self.total, self.streams = client, progress, total, streams
        self._lock = threading.Lock()
        self._done = 0

    def send(self, file: File) -> str:
        """Upload one file, or what is still missing of it; returns the upload's id.

        The exchange knows an unfinished upload again by name, size and sha256, so nothing needs to be remembered here.
        Raises: Conflict: the file changed while it was sent.
        """
        if file.size == 0:
            raise Invalid("push.empty_file", f"{file.path} is empty (0 bytes). Nothing was uploaded.")
        digest = _sha256(file.path)
        upload = self.client.call("POST", "/uploads", {"name": file.name, "size": file.size, "sha256": digest}, repeatable=True)
        if upload["state"] == "complete":
            self._count(file.size)
            return str(upload["id"])
        missing = self._missing(upload, file)
        with ThreadPoolExecutor(self.streams) as pool:
            for start in range(0, len(missing), SIGN_GROUP):
                self._send_group(pool, upload, file, missing[start : start + SIGN_GROUP])
        if file.path.stat().st_size != file.size or _sha256(file.path) != digest:
            raise Conflict("push.file_changed", f"{file.path} changed while it was sent. Push it again.")
        self.client.call("POST", f"/uploads/{upload['id']}/complete", {}, repeatable=True)
        return str(upload["id"])

    def _missing(self, upload: dict[str, Any], file: File) -> list[int]:
        received = set(self.client.call("GET", f"/uploads/{upload['id']}")["received"])
        part_size, count = upload["part_size"], upload["parts"]
        self._count(sum(min(part_size, file.size - (n - 1) * part_size) for n in received))
        return [n for n in range(1, count + 1) if n not in received]

    def _send_group(self, pool: ThreadPoolExecutor, upload: dict[str, Any], file: File, numbers: list[int]) -> None:
        part_size = upload["part_size"]
        wanted = []
        for number in numbers:
            body = _part(file, number, part_size)
            wanted.append({"number": number, "size": len(body), "sha256": hashlib.sha256(body).hexdigest()})
        signed = self.client.call("POST", f"/uploads/{upload['id']}/parts", {"parts": wanted}, repeatable=True)["parts"]
        list(pool.map(lambda request: self._put(request, _part(file, request["number"], part_size), file), signed))

    def _put(self, request: dict[str, Any], body: bytes, file: File) -> None:
        """Send one part; sent twice it is there once, so a store that is away is waited for."""
        from urllib3.exceptions import HTTPError

        waits = self.client.patience.begin("the store")
        while True:
            try:
                answer = self.client.pool.request(
                    request["method"], request["url"], body=body, headers=dict(request["headers"]), redirect=False, retries=False
                )
            except HTTPError as error:
                if waits.again():
                    continue
                text = f"The connection to the store broke at {file.name} ({type(error).__name__}). Push again to go on from there."
                raise Unavailable("push.broken", text) from error
            if answer.status < 300:
                self._count(len(body))
                return
            if answer.status == _FULL:
                raise Unavailable(
                    "store.full",
                    f"The disk of the store is full; part {request['number']} of {file.name} was not taken. What arrived is kept: "
                    "ask the operator for room, and push again to go on.",
                )
            if not (answer.status in STORE_AWAY and waits.again(retry_after(answer.headers))):
                raise Unavailable(
                    "push.refused", f"The store answered {answer.status} for part {request['number']} of {file.name}. Push again to go on."
                )

    def _count(self, size: int) -> None:
        with self._lock:
            self._done += size
            self.progress.update(self._done, self.total)


def _part(file: File, number: int, part_size: int) -> bytes:
    with file.path.open("rb") as stream:
        stream.seek((number - 1) * part_size)
        return stream.read(part_size)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
