"""Downloading an order: grants in small groups, resumed at any byte, every file checked against its sha256."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from mapex.cli.client import Client
from mapex.cli.output import Bar
from mapex.errors import Conflict, Invalid, Unavailable

GRANT_GROUP = 100  # tiles asked for at once: few enough that each download starts well before its grant ends (120 s)
GRANT_BYTES = 512 << 20
PIECE = 1 << 20
ATTEMPTS = 4


def holder_of(token: str, grant_id: str) -> str:
    """The header value that proves who holds a grant: HMAC-SHA256 of the token's secret, hex (trust: it is in no URL)."""
    secret = token.split("_", 2)[-1]  # the secret itself may hold underscores
    return hmac.new(secret.encode(), b"mapex-holder" + grant_id.encode(), hashlib.sha256).hexdigest()


class Download:
    """One order on its way into one folder."""

    def __init__(self, client: Client, order_id: str, folder: Path) -> None:
        self.client, self.order_id, self.folder = client, order_id, folder
        self._lock = threading.Lock()
        self._done = 0
        self._fetched = 0
        self._total = 0
        self._progress: Bar | None = None

    def run(self, *, streams: int, progress: Bar) -> dict[str, Any]:
        """Fetch what is missing, check everything, write the manifest.

        Returns: `{files, bytes, verified, fetched, folder}`; `fetched` counts the files that came over the network now.
        Raises: Conflict: a file does not have the promised sha256 (it is removed, so that the next run fetches it again).
        """
        order = self.client.call("GET", f"/orders/{self.order_id}")
        tiles = list(self._tiles())
        self._progress, self._total = progress, sum(t["size"] for t in tiles)
        self.folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(streams) as pool:
            wanted = [t for t, whole in zip(tiles, pool.map(self._is_whole, tiles), strict=True) if not whole]
            for group in _groups(wanted):
                granted = self.client.call("POST", "/grants", {"order": self.order_id, "tiles": [t["id"] for t in group]})
                grants = {g["tile_id"]: g for g in granted["grants"]}
                list(pool.map(lambda t, g=grants: self._fetch(t, g[t["id"]]), group))
        self._write_manifest(order, tiles)
        return {"files": len(tiles), "bytes": self._total, "verified": len(tiles), "fetched": self._fetched, "folder": str(self.folder)}

    def _tiles(self) -> Iterator[dict[str, Any]]:
        after = ""
        while True:
            page = self.client.call("GET", f"/orders/{self.order_id}/tiles", query={"after": after, "limit": 1000})
            yield from page["tiles"]
            after = page.get("next") or ""
            if not after:
                return

    def _path(self, tile: dict[str, Any]) -> Path:
        relative = PurePosixPath(tile["path"])
        if relative.is_absolute() or ".." in relative.parts:
            raise Invalid(
                "download.path", f"The exchange named the file {tile['path']!r}, which lies outside the folder. Nothing was written."
            )
        return self.folder.joinpath(*relative.parts)

    def _is_whole(self, tile: dict[str, Any]) -> bool:
        path = self._path(tile)
        if not path.is_file() or path.stat().st_size != tile["size"] or _sha256(path) != tile["sha256"]:
            return False
        self._count(tile["size"])
        return True

    def _count(self, size: int) -> None:
        with self._lock:
            self._done += size
            if self._progress is not None:
                self._progress.update(self._done, self._total)

    def _fetch(self, tile: dict[str, Any], grant: dict[str, Any]) -> None:
        path = self._path(tile)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        for attempt in range(ATTEMPTS):
            self._continue(part, tile, grant, last=attempt == ATTEMPTS - 1)
            if part.stat().st_size >= tile["size"]:
                break
        found = _sha256(part)
        if part.stat().st_size != tile["size"] or found != tile["sha256"]:
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
            self._fetched += 1

    def _continue(self, part: Path, tile: dict[str, Any], grant: dict[str, Any], *, last: bool) -> None:
        from urllib3.exceptions import HTTPError

        have = part.stat().st_size if part.exists() else 0
        if have > tile["size"]:
            part.unlink()
            have = 0
        if have == tile["size"]:
            part.touch()
            return
        headers = dict(grant.get("headers") or {})
        if grant.get("holder_required"):
            headers["x-mapex-holder"] = holder_of(self.client.token, grant["id"])
        if have:
            headers["Range"] = f"bytes={have}-"
        try:
            answer = self.client.pool.request(grant["method"], grant["url"], headers=headers, preload_content=False, redirect=False)
            try:
                if answer.status not in (200, 206):
                    raise Unavailable("download.refused", f"The store answered {answer.status} for {tile['path']}. Run the command again.")
                if answer.status == 200 and have:
                    part.unlink()
                with part.open("ab") as file:
                    for piece in answer.stream(PIECE):
                        file.write(piece)
                        self._count(len(piece))
            finally:
                answer.release_conn()
        except HTTPError as error:
            if last:
                raise Unavailable(
                    "download.broken",
                    f"The connection broke {ATTEMPTS} times while fetching {tile['path']}. Run the command again to go on.",
                ) from error

    def _write_manifest(self, order: dict[str, Any], tiles: list[dict[str, Any]]) -> None:
        keys = ("path", "sha256", "size", "dataset", "version", "layer", "tile", "part", "media_type", "licence", "attribution")
        manifest = {
            "order": order["id"],
            "purpose": order.get("purpose"),
            "licence": sorted({t["licence"] for t in tiles}),
            "attribution": sorted({t["attribution"] for t in tiles if t["attribution"]}),
            "files": [{k: t.get(k) for k in keys} for t in tiles],
        }
        path = self.folder / "manifest.json"
        fresh = path.with_name("manifest.json.part")
        fresh.write_text(json.dumps(manifest, ensure_ascii=False, indent=1), encoding="utf-8")
        fresh.replace(path)


def _groups(tiles: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    for tile in tiles:
        group.append(tile)
        if len(group) >= GRANT_GROUP or sum(t["size"] for t in group) >= GRANT_BYTES:
            yield group
            group = []
    if group:
        yield group


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
