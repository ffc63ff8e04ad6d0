r"""Bodies: which are wanted, judged by their headers; and texts in them that no database can keep, refused at the door.

Such texts hold a NUL, which PostgreSQL has no place for, or half of a character: a surrogate without its partner, which JSON can write
(`"\ud800"`, RFC 8259 section 8.2) and UTF-8 cannot.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask import Flask, request
from werkzeug.exceptions import HTTPException, LengthRequired, RequestEntityTooLarge, UnsupportedMediaType

from mapex.errors import Invalid, Unavailable
from tiles import plain_json
from web.edge import store_files
from web.edge.limits import visitors

WITHHELD = "mapex.withheld"
"""Name in the WSGI environment: why the server left the body where it was (`length`, `size`, `busy`), else empty or absent."""
LONGEST_BODY = 8 << 20
"""Bytes of a request; room for 400,000 quadkeys. Uploads go to the store, which has its own limit."""
LONGEST_FORM = 1 << 20
PASSWORDS = frozenset(
    {"security.login", "security.confirmed", "pages_security.change_password", "pages_account.redeem", "front_forgotten.choose"}
)
"""Endpoints that hash a password."""

_UNKEPT = re.compile("[\x00\ud800-\udfff]")
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")

# The same as JSON writes it: escaped, where the backslash is not itself escaped. Searched for in the bytes, so that it costs little
# however a large body is nested.
_BACKSLASH = rb"(?<!\\)(?:\\\\)*\\"
_NUL = re.compile(_BACKSLASH + rb"u0000")
_SURROGATES = re.compile(_BACKSLASH + rb"(u[dD][89a-fA-F][0-9a-fA-F]{2}(?:\\u[dD][89a-fA-F][0-9a-fA-F]{2})*)")
_PAIRS = re.compile(rb"\\?(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}\\?)+")
_MOST_LOOKED_THROUGH = 1 << 16
"""Bytes of a body in which it is looked for where the text stands."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is known of a body before it is there."""

    most: int
    """Bytes that may come."""
    is_proven: bool = False
    """Whether its sender has proved to be asked for it, by a signature that covers its length."""
    has_password: bool = False
    """Whether it is one of the forms whose password is hashed, which takes long."""


def install(app: Flask) -> None:
    """Look at the texts of each request after the guard let it in, and tell servers what is wanted before they take it in."""
    app.before_request(check)
    app.extensions["wanted"] = lambda environ: wanted(app, environ)


def wanted(app: Flask, environ: dict[str, Any]) -> Wanted:
    """What is wanted of the body behind these headers. Asks no database, so a server may ask while others wait."""
    asked = app.request_class(environ)
    try:
        adapter = app.create_url_adapter(asked)
        assert adapter is not None
        endpoint, values = adapter.match()
    except HTTPException:  # no such address, another method, a foreign host
        return Wanted(most=0)
    if endpoint == store_files.ENDPOINT:
        most = store_files.longest_body(app.extensions["mapex"].store, asked, **values)
        return Wanted(most, is_proven=True)
    if asked.path.startswith("/api/"):
        return Wanted(visitors.LONGEST_BODY if visitors.is_visitor(asked) else LONGEST_BODY)
    return Wanted(LONGEST_FORM, has_password=endpoint in PASSWORDS)


def check() -> None:
    """Pass when the body is there, and every text of the request can be kept.

    Raises: LengthRequired, RequestEntityTooLarge, Unavailable: the server did not take the body in. Invalid: `request.text`, with where it
    stands; `request.malformed`: JSON that is not UTF-8 (RFC 8259 section 8.1), which Python would read all the same.
    UnsupportedMediaType: what is sent to the API is no JSON.
    """
    _check_withheld(request.environ.get(WITHHELD, ""))
    for where, text in _texts():
        if _UNKEPT.search(text):
            raise _refusal(where, text)
    if request.path.startswith("/api/") and request.content_length and not request.is_json:
        # Left alone, it would be taken for no body at all, and what it asks for would silently be left out.
        raise UnsupportedMediaType("The body is not named as JSON; send it with the header `Content-Type: application/json`.")
    if request.is_json and request.blueprint != "store":
        raw = request.get_data()
        if not _is_utf8(raw):
            raise Invalid("request.malformed", "The body is not UTF-8, in which JSON is written; send it so.")
        _check_keys(raw)
        if _holds_unkept(raw):
            raise _refusal(*_found_in(raw))


def _check_withheld(why: str) -> None:
    if not why or request.routing_exception or request.endpoint == store_files.ENDPOINT:  # which have an answer of their own
        return
    if why == "length":
        raise LengthRequired("Say how long the body is, with the header `Content-Length`.")
    if why == "size":
        raise RequestEntityTooLarge()
    raise Unavailable("request.busy", "Too much is being sent from this address at once; try again in a moment.")


def _refusal(where: str, text: str) -> Invalid:
    return Invalid("request.text", f"{where}: {ascii(text[:80])} holds a NUL or half of a character; write it without.", where=where)


def _texts() -> Iterator[tuple[str, str]]:
    """(where, text) of what is no JSON. A part on its way to the store is bytes, whatever its sender calls it: it is not looked into."""
    yield "the address", request.path
    for name, value in request.args.items(multi=True):
        yield "the query", name
        yield name, value
    if request.mimetype in _FORMS and request.blueprint != "store":
        yield from request.form.items(multi=True)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in raw  # UTF-16 and UTF-32 have some in every text


def _check_keys(raw: bytes) -> None:
    """Refuse a body in which a key stands twice: what was checked and what is done could be two values. What is no JSON, others refuse."""
    try:
        plain_json.loads(raw)
    except plain_json.DoubledKeyError as error:
        raise Invalid("request.malformed", f"In the body {error}.") from error
    except (ValueError, RecursionError):
        return


def _holds_unkept(raw: bytes) -> bool:
    if b"\\u" not in raw:
        return False
    return bool(_NUL.search(raw)) or any(not _PAIRS.fullmatch(run[1]) for run in _SURROGATES.finditer(raw))


def _found_in(raw: bytes) -> tuple[str, str]:
    """Where in JSON the text stands (the outermost name), and the text."""
    try:
        body = json.loads(raw) if len(raw) <= _MOST_LOOKED_THROUGH else None
    except (ValueError, RecursionError):
        body = None
    return next(((where, text) for where, text in _inside(body) if _UNKEPT.search(text)), ("the body", "a text in it"))


def _inside(body: Any) -> Iterator[tuple[str, str]]:
    waiting: list[tuple[str, Any]] = [("the body", body)]
    while waiting:
        where, value = waiting.pop()
        if isinstance(value, str):
            yield where, value
        elif isinstance(value, list):
            waiting += [(where, inner) for inner in value]
        elif isinstance(value, dict):
            for name, inner in value.items():
                yield where, name
                waiting.append((name if value is body else where, inner))
