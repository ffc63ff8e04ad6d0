r"""Texts that no database can keep, refused at the door: NUL, which PostgreSQL has no place for, and half of a character.

Half a character is a surrogate without its partner: JSON can say it (`"\ud800"`, RFC 8259 section 8.2), UTF-8 cannot.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from flask import Flask, request

from mapex.errors import Invalid

_UNKEPT = re.compile("[\x00\ud800-\udfff]")
_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
"""How JSON must write such a character; whole characters beyond U+FFFF are written alike, so that what is found is read."""
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def install(app: Flask) -> None:
    """Look at the texts of each request after the guard let it in."""
    app.before_request(check)


def check() -> None:
    """Pass when every text of the request can be kept.

    Raises: Invalid: `request.text`, with where it stands; `request.malformed`: JSON that is not UTF-8 (RFC 8259 section 8.1), which
    Python would read all the same.
    """
    for where, text in _texts():
        if _UNKEPT.search(text):
            shown = ascii(text[:80])
            raise Invalid("request.text", f"{where}: {shown} holds a NUL or half of a character; write it without", where=where)


def _texts() -> Iterator[tuple[str, str]]:
    yield "the address", request.path
    for name, value in request.args.items(multi=True):
        yield "the query", name
        yield name, value
    if request.blueprint == "store":
        return  # bytes, whatever the sender calls them, which are read in pieces
    if request.mimetype in _FORMS:
        for name, value in request.form.items(multi=True):
            yield name, value
    if request.is_json:
        raw = request.get_data()
        if not _is_utf8(raw):
            raise Invalid("request.malformed", "JSON is written in UTF-8; this is not")
        if _SUSPECT.search(raw):
            try:
                body = json.loads(raw)
            except ValueError:
                return  # the route says what is wrong with it
            yield from _inside(body)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in raw  # UTF-16 and UTF-32 have some in every text


def _inside(body: Any) -> Iterator[tuple[str, str]]:
    """(where, text) of each text in a JSON value, names included; `where` is the outermost name."""
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
