"""The connection to a MinIO, or any S3: its client, and what the server answers as errors of the store."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tiles.errors import ObjectCorrupt, ObjectMissing, RequestRefused, StoreError, StoreUnavailable
from tiles.store.signing import Credentials

if TYPE_CHECKING:
    from minio import Minio
    from minio.minioadmin import MinioAdmin

_MISSING = {"NoSuchKey", "NoSuchUpload", "NoSuchBucket"}


class AlreadyThereError(StoreError):
    """The condition `If-None-Match: *` did not hold."""


class BeyondError(StoreError):
    """The range begins after the last byte."""


@contextlib.contextmanager
def store_errors(endpoint: str, key: str) -> Iterator[None]:
    """Turn what the client raises into errors of the store; our own pass."""
    from minio.error import MinioAdminException, MinioException, S3Error
    from urllib3.exceptions import HTTPError

    try:
        yield
    except S3Error as error:
        code = str(error.code)
        if code in _MISSING:
            raise ObjectMissing(f"The store has no {key} ({code}).", key=key) from error
        if code == "PreconditionFailed":
            raise AlreadyThereError(f"{key} is there already.", key=key) from error
        if code == "InvalidRange":
            raise BeyondError(f"{key} ends before this range.", key=key) from error
        if code in ("XMinioStorageFull", "InsufficientStorage"):
            raise StoreUnavailable(f"The disk of the object store at {endpoint} is full; nothing was stored.", code="store.full") from error
        if code == "RequestTimeout" or (error.response is not None and error.response.status >= 500):
            raise StoreUnavailable(f"The object store at {endpoint} cannot serve now ({code}); try again later.", key=key) from error
        if code in ("BadDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"):
            raise ObjectCorrupt(f"What arrived in the store as {key} is not what was sent.", key=key) from error
        raise RequestRefused(f"The object store at {endpoint} refused {key}: {error.message} ({code}).", key=key, reason=code) from error
    except MinioAdminException as error:
        sentence = f"The server at {endpoint} refused an administrator's request; is it a MinIO, and is this its root key? {error}"
        raise StoreUnavailable(sentence, key=key) from error
    except (MinioException, HTTPError, ConnectionError, TimeoutError) as error:
        raise StoreUnavailable(
            f"The object store at {endpoint} does not answer ({type(error).__name__}); try again later.", key=key
        ) from error


def client_of(endpoint: str, keys: Credentials, region: str, secure: bool, timeout_s: float = 30) -> Minio:
    """A client of the server for one account; speaks to nobody yet."""
    import certifi
    import urllib3
    from minio import Minio

    # minio-py alone waits five minutes and tries five times: a store that is away must show within seconds. MinIO asks to come back
    # in 60 s also when an object is damaged, and that answer is wanted as it is.
    again = urllib3.Retry(
        total=2, read=1, backoff_factor=0.2, status_forcelist=[502, 503, 504], respect_retry_after_header=False, raise_on_status=False
    )
    http = urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=3, read=timeout_s),
        maxsize=16,
        retries=again,
        cert_reqs="CERT_REQUIRED",
        ca_certs=certifi.where(),
    )
    return Minio(endpoint, keys.access_key, keys.secret_key, secure=secure, region=region, http_client=http)


def admin_of(endpoint: str, keys: Credentials, region: str, secure: bool) -> MinioAdmin:
    """A client for the accounts of a MinIO; speaks to nobody yet."""
    from minio.credentials.providers import StaticProvider
    from minio.minioadmin import MinioAdmin

    return MinioAdmin(endpoint=endpoint, credentials=StaticProvider(keys.access_key, keys.secret_key), region=region, secure=secure)
