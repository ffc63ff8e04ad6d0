"""Static files: immutable addresses (the version is in the path), compressed twins, byte ranges for the basemap."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import mimetypes
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, g, request, send_file
from werkzeug.security import safe_join
from werkzeug.wsgi import wrap_file

from mapex.errors import NotFound
from mapex.exchange import Exchange
from web.edge.auth import exchange
from web.edge.policy import policy

blueprint = Blueprint("static_files", __name__)

FOLDER = Path(__file__).parents[1] / "static"
VENDOR = FOLDER / "vendor"
TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".css": "text/css",
    ".woff2": "font/woff2",
}
_YEAR = 31_536_000
_LEAST_COMPRESSED = 512
_PIECE = 64 << 10
"""Bytes that go out at a time where the web server has no way of its own to send a file."""


def install(app: Flask) -> None:
    """The routes, and `static_url`, `vendor_url` and `import_map` for templates."""
    for ending, kind in TYPES.items():
        mimetypes.add_type(kind, ending)  # browsers refuse modules of another type, and the system's table may be wrong
    app.register_blueprint(blueprint)
    app.jinja_env.globals.update(static_url=static_url, vendor_url=vendor_url, import_map=import_map, has_vendor=has_vendor)


def static_url(path: str) -> str:
    """Address of one of our own files; it changes when any of them changes, so modules may import each other relatively."""
    return f"/static/{_version()}/{path}"


def vendor_url(package: str, name: str) -> str:
    """Address of a file of a browser library."""
    for path in _manifest().get("files", {}):
        if path.startswith(f"{package}@") and path.endswith(f"/{name}"):
            return f"/static/vendor/{path}"
    return f"/static/vendor/{package}/{name}"


def import_map() -> str:
    """The import map: bare names of the browser libraries to their addresses."""
    imports = {name: f"/static/vendor/{path}" for name, path in _manifest().get("imports", {}).items()}
    return json.dumps({"imports": imports}, sort_keys=True)


def has_vendor() -> bool:
    """Whether the browser libraries are there."""
    return bool(_manifest())


def licences() -> list[dict[str, str]]:
    """The browser libraries with version and licence."""
    found: list[dict[str, str]] = _manifest().get("licences", [])
    return found


@blueprint.get("/static/<version>/<path:path>")
@policy("public")
def own(version: str, path: str) -> Response:
    """One of our own files, or of the libraries below `vendor/`."""
    found = safe_join(str(FOLDER if version != "vendor" else VENDOR), path)
    if found is None or not Path(found).is_file():
        raise NotFound("file.unknown", "There is no such file.")
    return _sent(Path(found), is_immutable=version == "vendor" or version == _version())  # which looks at each file of ours


@blueprint.get("/favicon.ico")
@policy("public")
def icon() -> Response:
    """The icon of browser tabs."""
    return _sent(FOLDER / "icon.svg", is_immutable=False)


@blueprint.get("/map/basemap.pmtiles")
@policy("public")
def basemap() -> Response:
    """The PMTiles file that the operator put under the maps (`MAPEX_BASEMAP`), by byte ranges."""
    path = basemap_file(exchange())
    if path is None:
        raise NotFound("basemap.none", "This exchange has no basemap file; `MAPEX_BASEMAP` names one.")
    return _in_ranges(path)


def basemap_file(ex: Exchange) -> Path | None:
    """The operator's file of streets when it is here; its path is taken from the folder of the exchange."""
    text = ex.settings.basemap
    path = ex.settings.dir / text
    return path if text and "://" not in text and path.is_file() else None


def _sent(path: Path, *, is_immutable: bool) -> Response:
    if path.suffix == ".pmtiles":
        return _in_ranges(path)
    changed_ns = path.stat().st_mtime_ns
    body, tag = _plain(path, changed_ns)
    is_small = len(body) >= _LEAST_COMPRESSED and request.accept_encodings["gzip"] > 0
    if is_small:
        body, tag = _compressed(path, changed_ns), f"{tag}-gz"
    # As a file, of which the server takes what its reader takes, and not as bytes, which it keeps a copy of for each reader.
    answer = Response(wrap_file(request.environ, io.BytesIO(body), _PIECE), direct_passthrough=True)
    answer.content_length = len(body)
    answer.mimetype = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    answer.headers["Cache-Control"] = f"public, max-age={_YEAR}, immutable" if is_immutable else "no-cache"
    answer.headers["Vary"] = "Accept-Encoding"
    if is_small:
        answer.headers["Content-Encoding"] = "gzip"
    answer.set_etag(tag)
    answer.make_conditional(request)
    return answer


def _in_ranges(path: Path) -> Response:
    """A PMTiles file. Not to be kept: in the cache of Chromium ranges of one file that are asked for at once break one another."""
    answer = send_file(path, mimetype="application/octet-stream", conditional=True)
    answer.headers["Cache-Control"] = "no-store"
    return answer


@lru_cache(maxsize=128)
def _plain(path: Path, changed_ns: int) -> tuple[bytes, str]:
    del changed_ns
    body = path.read_bytes()
    return body, hashlib.sha256(body).hexdigest()[:32]


@lru_cache(maxsize=128)
def _compressed(path: Path, changed_ns: int) -> bytes:
    del changed_ns
    twin = path.with_name(path.name + ".gz")
    return twin.read_bytes() if twin.is_file() else gzip.compress(path.read_bytes(), 9, mtime=0)


def _version() -> str:
    """Of all our files together; looked up once for each request, so that a file changed under a running server is seen."""
    if "static_version" not in g:
        newest = sorted(
            (path.as_posix(), path.stat().st_mtime_ns) for path in FOLDER.glob("**/*") if VENDOR not in path.parents and path.is_file()
        )
        g.static_version = _digest(tuple(newest))
    version: str = g.static_version
    return version


@lru_cache(maxsize=8)
def _digest(files: tuple[tuple[str, int], ...]) -> str:
    digests = b"".join(hashlib.sha256(Path(path).read_bytes()).digest() for path, _ in files)
    return hashlib.sha256(digests).hexdigest()[:12]


def _manifest() -> dict[str, Any]:
    path = VENDOR / "manifest.json"
    return _read_manifest(path, path.stat().st_mtime_ns) if path.is_file() else {}


@lru_cache(maxsize=2)
def _read_manifest(path: Path, changed_ns: int) -> dict[str, Any]:
    del changed_ns
    found: dict[str, Any] = json.loads(path.read_text())
    return found
