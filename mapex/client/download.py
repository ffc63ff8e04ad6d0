"""Downloading an order: grants in small groups, resumed at any byte, every file checked against its sha256."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from mapex.client import enclosures, manifest
from mapex.client.bar import Bar
from mapex.client.http import Client, segment
from mapex.client.patience import STORE_AWAY, retry_after
from mapex.client.selection import Selection
from mapex.errors import Conflict, Invalid, Unavailable
from mapex.rules.file_names import portable
from mapex.rules.holder import HEADER, holder_of

GRANT_GROUP = 100  # tiles asked for at once: few enough that each download starts well before its grant ends (60 s for footage)
GRANT_BYTES = 512 << 20
PIECE = 1 << 20
_ENDED = 403  # what a store answers to an address whose time is over


class _Broken(Exception):
    """The store is away or the line broke; `after` is what the store asked to wait."""

    def __init__(self, why: str, after: float | None = None) -> None:
        super().__init__(why)
        self.after = after


class Download:
    """One order, or what `only` selects of it, on its way into one folder."""

    def __init__(self, client: Client, order_id: str, folder: Path, only: Selection | None = None) -> None:
        self.client, self.order_id, self.folder, self.only = client, order_id, folder, only or Selection()
        self._lock = threading.Lock()
        self._done = 0
        self._fetched = 0
        self._settled = 0
        self._waited = 0
        self._total = 0
        self._progress: Bar | None = None

    def run(self, *, streams: int, progress: Bar) -> dict[str, Any]:
        """Fetch what is missing, check everything, write the manifest.

        Returns: `{files, bytes, verified, fetched, left_out, folder}`; `fetched` counts the files that came over the network now,
        `left_out` files and bytes of the order that were not asked for and are not there.
        Raises: Invalid: `get.*`: nothing of the order is what was selected. Conflict: a file does not have the promised sha256 (it is
            removed, so that the next run fetches it again).
        """
        order = self.client.call("GET", f"/orders/{segment(self.order_id)}")
        whole_order = list(self._tiles())
        tiles, others = self.only.split(whole_order)
        self._progress, self._total = progress, sum(t["size"] for t in tiles)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._take_over(whole_order)
        with ThreadPoolExecutor(streams) as pool:
            wanted = [t for t, whole in zip(tiles, pool.map(self._is_whole, tiles), strict=True) if not whole]
            while wanted:
                before = self._settled, self._waited
                late = [tile for group in _groups(wanted) for tile in self._fetch_group(pool, group)]
                if late and (self._settled, self._waited) == before:
                    text = f"The store refused {late[0]['path']} although it was granted a moment ago. Run the command again."
                    raise Unavailable("download.refused", text, path=late[0]["path"])
                wanted = late
        left_out = self._describe(order, whole_order, others)
        counts = {"files": len(tiles), "bytes": self._total, "verified": len(tiles), "fetched": self._fetched}
        return {**counts, "left_out": left_out, "folder": str(self.folder)}

    def _describe(self, order: dict[str, Any], tiles: list[dict[str, Any]], others: list[dict[str, Any]]) -> dict[str, int]:
        """Write the manifest of what is there, now or from an earlier run. Returns what is not."""
        left = [tile for tile in others if not self._is_there(tile)]
        missing = {tile["id"] for tile in left}
        left_out = {"files": len(left), "bytes": sum(tile["size"] for tile in left)}
        beside = enclosures.write(self.folder, enclosures.of_order(self.client, self.order_id))
        manifest.write(self.folder, order, [tile for tile in tiles if tile["id"] not in missing], left_out, beside)
        return left_out

    def _tiles(self) -> Iterator[dict[str, Any]]:
        after = ""
        while True:
            page = self.client.call("GET", f"/orders/{segment(self.order_id)}/tiles", query={"after": after, "limit": 1000})
            yield from page["tiles"]
            after = page.get("next") or ""
            if not after:
                return

    def _path(self, tile: dict[str, Any]) -> Path:
        relative = PurePosixPath(tile["path"])
        if relative.is_absolute() or ".." in relative.parts:
            raise Invalid(
                "download.path", f"The exchange named the file {tile['path']!r}, which is outside the folder. Nothing was written."
            )
        return self.folder / portable(tile["path"])

    def _take_over(self, tiles: list[dict[str, Any]]) -> None:
        """Give files that an earlier run left under another name the name that they have now; the manifest says which they are.

        Raises: Invalid: `download.path`.
        """
        names = [self._path(tile) for tile in tiles]
        if twice := next((path for path, many in Counter(names).items() if many > 1), None):
            raise Invalid("download.path", f"The exchange named the file {twice.name!r} twice. Nothing was written.")
        there, wanted = manifest.earlier(self.folder), set(names)
        for tile, path in zip(tiles, names, strict=True):
            before = self._earlier(there.get(manifest.known(tile), ""))
            if before is not None and before not in wanted and not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                before.replace(path)

    def _earlier(self, path: str) -> Path | None:
        """A file of an earlier run, if it is a plain one inside the folder."""
        here, folder = self.folder / path, self.folder.resolve()
        return here if path and not here.is_symlink() and here.is_file() and here.resolve().is_relative_to(folder) else None

    def _is_whole(self, tile: dict[str, Any]) -> bool:
        if not self._is_there(tile):
            return False
        self._count(tile["size"])
        return True

    def _is_there(self, tile: dict[str, Any]) -> bool:
        path = self._path(tile)
        return path.is_file() and path.stat().st_size == tile["size"] and _sha256(path) == tile["sha256"]

    def _count(self, size: int) -> None:
        with self._lock:
            self._done += size
            if self._progress is not None:
                self._progress.update(self._done, self._total)

    def _fetch_group(self, pool: ThreadPoolExecutor, group: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Fetch tiles under one call of grants; returns those whose grant ended before their turn came (a slow line)."""
        granted = self.client.call("POST", "/grants", {"order": self.order_id, "tiles": [t["id"] for t in group]})
        grants = {g["tile_id"]: g for g in granted["grants"]}
        done = pool.map(lambda tile: self._fetch(tile, grants[tile["id"]]), group)
        return [tile for tile, fetched in zip(group, done, strict=True) if not fetched]

    def _fetch(self, tile: dict[str, Any], grant: dict[str, Any]) -> bool:
        """Bring one tile, going on from what an earlier run left; False when the store does not take the grant any more."""
        path = self._path(tile)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        begun = part.exists()
        came = self._bring(part, tile, grant)
        if begun and came is not None and not self._is_promised(part, tile):
            # What an earlier run left was damaged: it is no reason to refuse, the tile is fetched from its first byte.
            part.unlink(missing_ok=True)
            came = self._bring(part, tile, grant)
        if came is None:
            return False
        if not self._is_promised(part, tile):
            found = _sha256(part)
            part.unlink()
            raise Conflict(
                "download.corrupt",
                f"{tile['path']} arrived with another content than promised (sha256). The file was removed; run the command again.",
                path=tile["path"],
                promised=tile["sha256"],
                found=found,
            )
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
        with self._lock:
            self._settled += 1
            self._fetched += came > 0
        return True

    @staticmethod
    def _is_promised(part: Path, tile: dict[str, Any]) -> bool:
        return bool(part.stat().st_size == tile["size"] and _sha256(part) == tile["sha256"])

    def _bring(self, part: Path, tile: dict[str, Any], grant: dict[str, Any]) -> int | None:
        """Bytes that came over the network until `part` was as long as the tile; None when the grant has ended.

        A store that is away, or a line that breaks, is waited for; what came is kept.
        """
        came, waits = 0, self.client.patience.begin("the store")
        while True:
            if _size(part) > tile["size"]:
                part.unlink()
            before, why, after = _size(part), "it came in part only", None
            try:
                if not self._continue(part, tile, grant):
                    return None
            except _Broken as broken:
                why, after = str(broken), broken.after
            came += max(0, _size(part) - before)
            if _size(part) >= tile["size"]:
                return came
            if _size(part) > before:
                waits.got_on()
            if not waits.again(after):
                raise Unavailable("download.broken", f"{tile['path']} could not be fetched: {why}. Run the command again to go on.")
            with self._lock:
                self._waited += 1

    def _continue(self, part: Path, tile: dict[str, Any], grant: dict[str, Any]) -> bool:
        """Ask the store for what `part` lacks; False when it refused the grant. Raises _Broken."""
        from urllib3.exceptions import HTTPError

        have = _size(part)
        if have == tile["size"]:
            part.touch()
            return True
        headers = dict(grant.get("headers") or {})
        if grant.get("holder_required"):
            headers[HEADER] = holder_of(self.client.token, grant["id"])
        if have:
            headers["Range"] = f"bytes={have}-"
        try:
            answer = self.client.pool.request(
                grant["method"], grant["url"], headers=headers, preload_content=False, redirect=False, retries=False
            )
            try:
                return self._take(answer, part, tile, have=have)
            finally:
                answer.release_conn()
        except HTTPError as error:
            raise _Broken(f"the connection to the store broke ({type(error).__name__})") from error

    def _take(self, answer: Any, part: Path, tile: dict[str, Any], *, have: int) -> bool:
        """Write what the store sends behind what `part` has; False when the store refused the grant."""
        if answer.status == _ENDED:
            return False
        if answer.status in STORE_AWAY:
            raise _Broken(f"the store answered {answer.status}", retry_after(answer.headers))
        if answer.status not in (200, 206):
            raise Unavailable("download.refused", f"The store answered {answer.status} for {tile['path']}. Run the command again.")
        if answer.status == 200 and have:
            part.unlink()
        with part.open("ab") as file:
            for piece in answer.stream(PIECE):
                file.write(piece)
                self._count(len(piece))
        return True


def _groups(tiles: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    for tile in tiles:
        group.append(tile)
        if len(group) >= GRANT_GROUP or sum(t["size"] for t in group) >= GRANT_BYTES:
            yield group
            group = []
    if group:
        yield group


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
