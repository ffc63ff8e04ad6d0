"""The directory store over HTTP: signed URLs of the same shape and with the same checks as those of S3.

All of it is decided by `web.edge.store_protocol.answer`, which knows no Flask; the signature in the URL is the authorisation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, cast

from flask import Blueprint, Response, request

from web.edge.policy import policy

if TYPE_CHECKING:
    from tiles.store.directory import DirectoryStore

LONGEST_PART = 5 << 30
"""Bytes in one part, as on S3; the signature binds the true length."""


def blueprint(store: DirectoryStore) -> Blueprint:
    """Routes that serve a directory store below `/store`; a MinIO store needs none."""
    routes = Blueprint("store", __name__, url_prefix="/store")

    @routes.route("/<area>/<path:key>", methods=["GET", "HEAD", "PUT"])
    @policy("public")
    def serve(area: str, key: str) -> Response:
        """Answer one signed request."""
        from web.edge.store_protocol import answer

        request.max_content_length = LONGEST_PART
        query = request.query_string.decode("ascii", "replace")
        given = answer(store, request.method, area, key, query, dict(request.headers), cast(BinaryIO, request.stream))
        # Pieces go out as they are read, so a large tile costs no memory; the length is in the headers.
        return Response(given.body, given.status, dict(given.headers), direct_passthrough=True)

    return routes
