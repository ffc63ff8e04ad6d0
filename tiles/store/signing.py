"""Presigned requests: AWS Signature Version 4 in the query, made and checked without a network.

minio-py signs only the header `host` and asks the server for its region; a request that is worthless without a second header, or that
binds length and checksum of an upload, needs more. `presign` gives what minio-py gives when no header is added (a test compares them).
Source: AWS "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)".
"""

from __future__ import annotations

import calendar
import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import parse_qsl, quote

from tiles.errors import RequestRefused

REGION = "us-east-1"
LONGEST_S = 7 * 24 * 3600
SKEW_S = 15 * 60


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key with its secret; the secret stays out of `repr` and so out of logs."""

    access_key: str
    secret_key: str = field(repr=False)


def derived(master: Credentials, signer: str) -> Credentials:
    """The credentials of one of many signers: whoever has them can neither sign for another nor as the master."""
    secret = hmac.digest(master.secret_key.encode(), f"mapex-signer {signer}".encode(), "sha256").hex()
    return Credentials(signer, secret[:40])  # MinIO takes no longer secret


def signer_of(query: str) -> str:
    """The access key that the query of a presigned request names, genuine or not."""
    return dict(parse_qsl(query, keep_blank_values=True)).get("X-Amz-Credential", "").partition("/")[0]


@lru_cache(maxsize=32)
def _signing_key(secret_key: str, date: str, region: str) -> bytes:
    key = b"AWS4" + secret_key.encode()
    for word in (date, region, "s3", "aws4_request"):
        key = hmac.digest(key, word.encode(), "sha256")
    return key


def _query(parameters: Mapping[str, str]) -> str:
    return "&".join(sorted(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in parameters.items()))


def _signature(method: str, path: str, query: str, headers: Mapping[str, str], secret_key: str, stamp: str, region: str) -> str:
    """The signature over one request whose body is not hashed (`UNSIGNED-PAYLOAD`); `headers` have lower-case names."""
    names = sorted(headers)
    lines = [f"{name}:{' '.join(headers[name].split())}" for name in names]
    request = "\n".join([method, quote(path, safe="/-_.~"), query, *lines, "", ";".join(names), "UNSIGNED-PAYLOAD"])
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    return hmac.digest(_signing_key(secret_key, stamp[:8], region), text.encode(), "sha256").hex()


def presign(
    method: str,
    origin: str,
    path: str,
    *,
    credentials: Credentials,
    at_s: int,
    expires_s: int,
    region: str = REGION,
    parameters: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> str:
    """URL that lets its holder send one request until it expires.

    Args:
        method: HTTP method; part of what is signed.
        origin: scheme, host and port, without a path: `https://store.example:9000`.
        path: from `/`, not yet percent-encoded.
        credentials: who signs.
        at_s: signing time, seconds since 1970 UTC.
        expires_s: validity in seconds, 1 to 604800.
        region: of the store; fixed, so that no request is needed to find it.
        parameters: further query parameters; signed, so they cannot be altered or removed.
        headers: further headers that the request must carry with these values (they are not in the URL).
    """
    if not 1 <= expires_s <= LONGEST_S:
        raise RequestRefused(f"A signed request can be valid for 1 to {LONGEST_S} seconds, not {expires_s}.", expires_s=expires_s)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at_s))
    signed = {"host": origin.split("://", 1)[1], **{k.lower(): v for k, v in (headers or {}).items()}}
    query = _query(
        {
            **(parameters or {}),
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{credentials.access_key}/{stamp[:8]}/{region}/s3/aws4_request",
            "X-Amz-Date": stamp,
            "X-Amz-Expires": str(expires_s),
            "X-Amz-SignedHeaders": ";".join(sorted(signed)),
        }
    )
    signature = _signature(method, path, query, signed, credentials.secret_key, stamp, region)
    return f"{origin}{quote(path, safe='/-_.~')}?{query}&X-Amz-Signature={signature}"


def verify(
    method: str,
    host: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    *,
    credentials: Credentials,
    now_s: float,
    region: str = REGION,
) -> dict[str, str]:
    """Parameters of a presigned request (without those of the signature), when it is genuine and still valid.

    Stricter than S3: every `x-amz-*` header must be signed, so a copy source or an access rule cannot be slipped in beside the URL.

    Args:
        method: HTTP method of the request.
        host: that the store signs for.
        path: of the request, not percent-encoded.
        query: the query string as it came.
        headers: of the request, any case.
        credentials: the only ones accepted.
        now_s: the clock, seconds since 1970 UTC.
        region: the only one accepted.
    Raises: RequestRefused: altered, expired, signed by another key, or a bound header is absent or different.
    """
    pairs = parse_qsl(query, keep_blank_values=True)
    parameters = dict(pairs)
    given = {k.lower(): v for k, v in headers.items()}
    signature = parameters.pop("X-Amz-Signature", "")
    stamp, names = parameters.get("X-Amz-Date", ""), parameters.get("X-Amz-SignedHeaders", "").split(";")
    if len(pairs) != len(parameters) + 1 or not signature or parameters.get("X-Amz-Algorithm") != "AWS4-HMAC-SHA256":
        raise RequestRefused("The request is not signed.", reason="unsigned")
    if parameters.get("X-Amz-Credential") != f"{credentials.access_key}/{stamp[:8]}/{region}/s3/aws4_request":
        raise RequestRefused("The request is signed by a key that is not known here.", reason="credential")
    missing = [name for name in names if name != "host" and name not in given]
    slipped_in = [name for name in given if name.startswith("x-amz-") and name not in names]
    if "host" not in names or missing or slipped_in:
        raise RequestRefused(f"A header is missing or not signed: {', '.join(missing + slipped_in) or 'host'}.", reason="header")
    signed = {name: host if name == "host" else given[name] for name in names}
    expected = _signature(method, path, _query(parameters), signed, credentials.secret_key, stamp, region)
    if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")):
        raise RequestRefused("The signature does not fit the request: it was altered, or a bound header is different.", reason="signature")
    # Only now are date and validity known to be ours, so parsing them cannot fail.
    age_s = now_s - calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))
    if not -SKEW_S <= age_s < int(parameters["X-Amz-Expires"]):
        raise RequestRefused("The request has expired; ask for a new one.", reason="expired")
    return {k: v for k, v in parameters.items() if not k.startswith("X-Amz-")}
