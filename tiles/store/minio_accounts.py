"""Accounts of a MinIO: one for each purpose, so that a process can do to the store what it needs, and nothing else.

The main account may do all of it; `init` makes the others with it. The web process has those that sign uploads and downloads: it can
neither list nor delete, and cannot read what others upload. The worker reads uploads, puts tiles, and removes what nobody needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tiles.errors import StoreUnavailable
from tiles.store.minio_server import client_of, store_errors
from tiles.store.protocol import Bucket
from tiles.store.signing import REGION, Credentials


class Purpose(StrEnum):
    """What an account is for."""

    UPLOAD = "upload"
    DOWNLOAD = "download"
    WORK = "work"
    SWEEP = "sweep"


_PUT = ("s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
_ALLOWED: Mapping[Purpose, tuple[tuple[Bucket, tuple[str, ...]], ...]] = {
    # No reading: a key that can read would copy any object of any firm to the uploader, by an unsigned `x-amz-copy-source` beside the URL.
    Purpose.UPLOAD: ((Bucket.STAGING, _PUT),),
    Purpose.DOWNLOAD: ((Bucket.DATA, ("s3:GetObject",)),),
    Purpose.WORK: ((Bucket.STAGING, ("s3:GetObject",)), (Bucket.DATA, _PUT)),
    Purpose.SWEEP: (
        (Bucket.STAGING, ("s3:DeleteObject", "s3:AbortMultipartUpload")),
        (Bucket.DATA, ("s3:DeleteObject",)),
    ),
}
_LISTS = frozenset({Purpose.SWEEP})


@dataclass(frozen=True, slots=True)
class Accounts:
    """The accounts that this process was given: the main one, or None, and those of single purposes."""

    main: Credentials | None
    single: Mapping[Purpose, Credentials]

    def signing(self, purpose: Purpose) -> Credentials:
        """Who signs for a purpose: its own account, so that it alone can be switched off, or the main one.

        Raises: StoreUnavailable: `store.no_key`.
        """
        return self.single.get(purpose) or self.main or self._lacks(purpose)

    def doing(self, *purposes: Purpose) -> Credentials:
        """Who does what any of these purposes allows: the main account where there is one.

        Raises: StoreUnavailable: `store.no_key`.
        """
        return self.main or next((self.single[one] for one in purposes if one in self.single), None) or self._lacks(*purposes)

    def has(self, *purposes: Purpose) -> bool:
        """Whether `doing` would find one."""
        return self.main is not None or any(one in self.single for one in purposes)

    def _lacks(self, *purposes: Purpose) -> Credentials:
        names = " or ".join(f"store_{one}_access_key" for one in purposes)
        raise StoreUnavailable(f"This process has no key of the store for that ({names}); another one does it.", code="store.no_key")


def policy_of(purpose: Purpose, prefix: str) -> dict[str, Any]:
    """What the account of a purpose may do, as a policy of S3; nothing else is allowed."""
    statements: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": list(actions), "Resource": [f"arn:aws:s3:::{prefix}-{bucket}/*"]}
        for bucket, actions in _ALLOWED[purpose]
    ]
    if purpose in _LISTS:
        buckets = [f"arn:aws:s3:::{prefix}-{bucket}" for bucket in Bucket]
        statements.append({"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": buckets})
    return {"Version": "2012-10-17", "Statement": statements}


def upload_policy(prefix: str) -> dict[str, Any]:
    """What the upload account may do."""
    return policy_of(Purpose.UPLOAD, prefix)


def provision(
    endpoint: str,
    *,
    access_key: str,
    secret_key: str,
    upload_access_key: str,
    upload_secret_key: str,
    single: Mapping[Purpose, Credentials] | None = None,
    prefix: str = "mapex",
    region: str = REGION,
    secure: bool = False,
) -> None:
    """Make the two buckets and the accounts of MinIO; what is there already is brought to the same state.

    Args:
        endpoint: host:port of the server.
        access_key, secret_key: of a user who may make buckets and service accounts.
        upload_access_key: name of the account that will sign uploads; made when absent.
        upload_secret_key: its secret, at least 8 characters.
        single: the accounts of the other purposes.
        prefix: of the bucket names.
        region: of the server.
        secure: https.
    Raises: StoreUnavailable: the server does not answer, or is no MinIO (then make the accounts by its own means, with `policy_of`).
    """
    from minio.credentials.providers import StaticProvider
    from minio.minioadmin import MinioAdmin

    client = client_of(endpoint, Credentials(access_key, secret_key), region, secure)
    accounts = {Purpose.UPLOAD: Credentials(upload_access_key, upload_secret_key), **(single or {})}
    with store_errors(endpoint, "the buckets"):
        for bucket in Bucket:
            if not client.bucket_exists(f"{prefix}-{bucket}"):
                client.make_bucket(f"{prefix}-{bucket}", region)
        admin = MinioAdmin(endpoint=endpoint, credentials=StaticProvider(access_key, secret_key), region=region, secure=secure)
        for purpose, keys in accounts.items():
            _bring(admin, keys, policy_of(purpose, prefix))


def _bring(admin: Any, keys: Credentials, policy: dict[str, Any]) -> None:
    """Make a service account, or give the one that is there this secret and this policy."""
    from minio.error import MinioAdminException

    try:
        admin.get_service_account(keys.access_key)
    except MinioAdminException:  # not there yet
        admin.add_service_account(access_key=keys.access_key, secret_key=keys.secret_key, policy=policy)
    else:
        admin.update_service_account(access_key=keys.access_key, secret_key=keys.secret_key, policy=policy)
