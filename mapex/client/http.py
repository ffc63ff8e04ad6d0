"""The exchange over HTTP, as the command line speaks to it: MAPEX_URL and MAPEX_TOKEN."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mapex import errors
from mapex.client.patience import AWAY, Patience, retry_after
from mapex.errors import Invalid, MapexError, Unavailable

if TYPE_CHECKING:
    import urllib3

_KINDS: dict[int, type[MapexError]] = {
    400: errors.Invalid,
    401: errors.Denied,
    402: errors.Unpaid,
    403: errors.Denied,
    404: errors.NotFound,
    409: errors.Conflict,
    413: errors.Invalid,
    422: errors.Invalid,
    429: errors.Unavailable,
}


_PAGE = 1000


def segment(text: str) -> str:
    """A text as one segment of a path."""
    return quote(text, safe="")


def _no_token() -> Invalid:
    return Invalid("cli.no_token", "MAPEX_TOKEN is not set. Make one with `mapex token create E-MAIL` or on the account page.")


class Client:
    """A connection to one exchange with one token."""

    def __init__(self, url: str, token: str, patience: Patience | None = None) -> None:
        import urllib3

        self.url = url.rstrip("/")
        self.token = token
        self.patience = patience or Patience()
        self.pool = urllib3.PoolManager(maxsize=8, retries=False, timeout=urllib3.Timeout(connect=10, read=120))

    @classmethod
    def from_environment(cls, *, visitor: bool = False) -> Client:
        """The client that MAPEX_URL and MAPEX_TOKEN describe.

        Args:
            visitor: what is asked for may need no token, so that none is no mistake yet.
        Raises: Invalid: `cli.no_url`, `cli.no_token`.
        """
        url, token = os.environ.get("MAPEX_URL", ""), os.environ.get("MAPEX_TOKEN", "")
        if not url:
            raise Invalid("cli.no_url", "MAPEX_URL is not set. Name the exchange, for example `export MAPEX_URL=http://127.0.0.1:8080`.")
        if not url.startswith(("http://", "https://")):
            raise Invalid("cli.no_url", f"MAPEX_URL is {url!r}; it must start with http:// or https://.")
        if not token and not visitor:
            raise _no_token()
        return cls(url, token, Patience.from_environment())

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
    ) -> Any:
        """The JSON answer of `/api/v1` + `path`; an exchange that is away is waited for (`mapex.client.patience`).

        Args:
            repeatable: asked twice, it is done once, or nothing is done at all. So are GET, and POST with an Idempotency-Key. Anything
                else is asked again only when it was surely not carried out: nobody listened, or the exchange itself answered so.
        Raises: the MapexError that the exchange answered, or Unavailable when it does not answer.
        """
        answer = self._request(method, path, body, query=query, headers=headers, repeatable=repeatable)
        if not answer.data:
            return None
        return self._json(answer)

    def listed(self, path: str, key: str, *, query: Mapping[str, Any], limit: int) -> list[dict[str, Any]]:
        """At most `limit` of what a list that comes in pages holds under `key`, in its order."""
        found: list[dict[str, Any]] = []
        after: Any = None
        while len(found) < limit:
            page = self.call("GET", path, query={**query, "after": after, "limit": min(_PAGE, limit - len(found))})
            found += page[key]
            after = page.get("next")
            if not after:
                break
        return found

    def text(self, path: str, *, query: Mapping[str, Any] | None = None) -> str:
        """The text answer of a GET, for CSV."""
        return self._request("GET", path, None, query=query, headers=None, repeatable=True).data.decode()

    def save(self, path: str, file: Path, *, sha256: str) -> None:
        """The body of a GET as a file, when it is what it should be.

        Raises: Unavailable (`download.corrupt`): the bytes are others; nothing is left.
        """
        body = self._request("GET", path, None, query=None, headers={"Accept": "*/*"}, repeatable=True).data
        if hashlib.sha256(body).hexdigest() != sha256:
            raise Unavailable("download.corrupt", f"{file.name} did not arrive as it was sent. Try again.", file=file.name)
        file.write_bytes(body)

    def _request(
        self, method: str, path: str, body: Any, *, query: Mapping[str, Any] | None, headers: Mapping[str, str] | None, repeatable: bool
    ) -> urllib3.BaseHTTPResponse:
        send = {"Accept": "application/json", **({"Authorization": f"Bearer {self.token}"} if self.token else {}), **(headers or {})}
        data = None
        if body is not None:
            send["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        url = f"{self.url}/api/v1{path}"
        if query:
            from urllib.parse import urlencode

            url += "?" + urlencode({k: v for k, v in query.items() if v not in (None, "")})
        answer = self._patiently(method, url, data, send, repeatable=repeatable or method == "GET" or "Idempotency-Key" in send)
        if answer.status == 401 and not self.token:
            raise _no_token()
        if answer.status >= 400:
            raise self._error(answer)
        return answer

    def _patiently(
        self, method: str, url: str, data: bytes | None, headers: Mapping[str, str], *, repeatable: bool
    ) -> urllib3.BaseHTTPResponse:
        """The answer to one request, asked again while the exchange is away and asking again does nothing twice."""
        from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

        waits = self.patience.begin("the exchange")
        while True:
            try:
                answer = self.pool.request(method, url, body=data, headers=headers)
            except HTTPError as error:
                nobody_listened = isinstance(error, NewConnectionError | ConnectTimeoutError)
                if (repeatable or nobody_listened) and waits.again():
                    continue
                raise Unavailable(
                    "exchange.unreachable", f"No answer from {self.url} ({type(error).__name__}). Is it running, and is MAPEX_URL right?"
                ) from error
            if not (_is_away(answer, repeatable=repeatable) and waits.again(retry_after(answer.headers))):
                return answer

    def _json(self, answer: urllib3.BaseHTTPResponse) -> Any:
        try:
            return json.loads(answer.data)
        except ValueError as error:
            raise Unavailable(
                "exchange.not_mapex", f"{self.url} answered {answer.status} with something that is not JSON. Is MAPEX_URL the exchange?"
            ) from error

    def _error(self, answer: urllib3.BaseHTTPResponse) -> MapexError:
        kind = _KINDS.get(answer.status, Unavailable)
        try:
            body = json.loads(answer.data)
            about = {"request_id": str(body["request_id"])} if "request_id" in body else {}
            return kind(str(body["code"]), str(body["message"]), **{**dict(body.get("details") or {}), **about})
        except (ValueError, KeyError, TypeError):
            return kind("exchange.answer", f"{self.url} answered {answer.status} {answer.reason}.")


def _is_away(answer: urllib3.BaseHTTPResponse, *, repeatable: bool) -> bool:
    """Whether to ask again. A proxy's words may hide that the request was carried out; the exchange's own say that nothing was changed."""
    if answer.status not in AWAY:
        return False
    try:
        is_ours = "code" in json.loads(answer.data)
    except (ValueError, TypeError):
        is_ours = False
    return answer.status in (429, 503) if is_ours else repeatable or answer.status == 429
