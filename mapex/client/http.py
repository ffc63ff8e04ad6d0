"""The exchange over HTTP, as the command line speaks to it: MAPEX_URL and MAPEX_TOKEN."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mapex import errors
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


class Client:
    """A connection to one exchange with one token."""

    def __init__(self, url: str, token: str) -> None:
        import urllib3

        self.url = url.rstrip("/")
        self.token = token
        retries = urllib3.Retry(total=5, connect=5, read=2, status=3, backoff_factor=0.25, status_forcelist=(502, 503, 504))
        self.pool = urllib3.PoolManager(maxsize=8, retries=retries, timeout=urllib3.Timeout(connect=10, read=120))

    @classmethod
    def from_environment(cls) -> Client:
        """The client that MAPEX_URL and MAPEX_TOKEN describe. Raises Invalid when one is not set."""
        url, token = os.environ.get("MAPEX_URL", ""), os.environ.get("MAPEX_TOKEN", "")
        if not url:
            raise Invalid("cli.no_url", "MAPEX_URL is not set. Name the exchange, for example `export MAPEX_URL=http://127.0.0.1:8080`.")
        if not url.startswith(("http://", "https://")):
            raise Invalid("cli.no_url", f"MAPEX_URL is {url!r}; it must start with http:// or https://.")
        if not token:
            raise Invalid("cli.no_token", "MAPEX_TOKEN is not set. Make one with `mapex token create E-MAIL` or on the account page.")
        return cls(url, token)

    def call(
        self, method: str, path: str, body: Any = None, *, query: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """The JSON answer of `/api/v1` + `path`.

        GET, and POST with an Idempotency-Key, are tried again when the connection breaks.
        Raises: the MapexError that the exchange answered, or Unavailable when it does not answer.
        """
        answer = self._request(method, path, body, query=query, headers=headers)
        if not answer.data:
            return None
        return self._json(answer)

    def text(self, path: str, *, query: Mapping[str, Any] | None = None) -> str:
        """The text answer of a GET, for CSV."""
        return self._request("GET", path, None, query=query, headers=None).data.decode()

    def _request(
        self, method: str, path: str, body: Any, *, query: Mapping[str, Any] | None, headers: Mapping[str, str] | None
    ) -> urllib3.BaseHTTPResponse:
        import urllib3
        from urllib3.exceptions import HTTPError

        send = {"Authorization": f"Bearer {self.token}", "Accept": "application/json", **(headers or {})}
        data = None
        if body is not None:
            send["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        url = f"{self.url}/api/v1{path}"
        if query:
            from urllib.parse import urlencode

            url += "?" + urlencode({k: v for k, v in query.items() if v not in (None, "")})
        repeatable = method == "GET" or "Idempotency-Key" in send
        retries = None if repeatable else urllib3.Retry(total=5, connect=5, read=0, status=0, other=0, backoff_factor=0.25)
        try:
            answer = self.pool.request(method, url, body=data, headers=send, retries=retries)
        except HTTPError as error:
            raise Unavailable(
                "exchange.unreachable", f"No answer from {self.url} ({type(error).__name__}). Is it running, and is MAPEX_URL right?"
            ) from error
        if answer.status >= 400:
            raise self._error(answer)
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
            return kind(str(body["code"]), str(body["message"]), **dict(body.get("details") or {}))
        except (ValueError, KeyError, TypeError):
            return kind("exchange.answer", f"{self.url} answered {answer.status} {answer.reason}.")
