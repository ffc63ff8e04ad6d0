"""Accounts of a MinIO: one for each duty, so that a process can do to the store what it needs, and nothing else.

The main account may do all of it; `init` makes the others with it. The web process has those that sign uploads and downloads: it can
neither list nor delete, and cannot read what others upload. The worker reads uploads, puts tiles, and removes what nobody needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tiles.errors import StoreUnavailable
from tiles.store.minio_server import admin_of, client_of, store_errors
from tiles.store.protocol import Bucket
from tiles.store.signing import REGION, Credentials


class Duty(StrEnum):
    """What an account is for."""

    UPLOAD = "upload"
    DOWNLOAD = "download"
    WORK = "work"
    SWEEP = "sweep"


_PUT = ("s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
_ALLOWED: Mapping[Duty, tuple[tuple[Bucket, tuple[str, ...]], ...]] = {
    # No reading: a key that can read would copy any object of any firm to the uploader, by an unsigned `x-amz-copy-source` beside the URL.
    Duty.UPLOAD: ((Bucket.STAGING, _PUT),),
    Duty.DOWNLOAD: ((Bucket.DATA, ("s3:GetObject",)),),
    Duty.WORK: ((Bucket.STAGING, ("s3:GetObject",)), (Bucket.DATA, _PUT)),
    Duty.SWEEP: (
        (Bucket.STAGING, ("s3:DeleteObject", "s3:AbortMultipartUpload")),
        (Bucket.DATA, ("s3:DeleteObject",)),
    ),
}
_LISTS = frozenset({Duty.SWEEP})


@dataclass(frozen=True, slots=True)
class Accounts:
    """The accounts that this process was given: the main one, or None, and those of single duties."""

    main: Credentials | None
    single: Mapping[Duty, Credentials]

    def signing(self, duty: Duty) -> Credentials:
        """Who signs for a duty: its own account, so that it alone can be switched off, or the main one.

        Raises: StoreUnavailable: `store.no_key`.
        """
        return self.single.get(duty) or self.main or self._lacks(duty)

    def doing(self, *duties: Duty) -> Credentials:
        """Who does what any of these duties allows: the main account where there is one.

        Raises: StoreUnavailable: `store.no_key`.
        """
        return self.main or next((self.single[one] for one in duties if one in self.single), None) or self._lacks(*duties)

    def has(self, *duties: Duty) -> bool:
        """Whether `doing` would find one."""
        return self.main is not None or any(one in self.single for one in duties)

    def _lacks(self, *duties: Duty) -> Credentials:
        names = " or ".join(f"store_{one}_access_key" for one in duties)
        raise StoreUnavailable(f"This process has no key of the store for that ({names}); another one does it.", code="store.no_key")


def policy_of(duty: Duty, prefix: str) -> dict[str, Any]:
    """What the account of a duty may do, as a policy of S3; nothing else is allowed."""
    statements: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": list(actions), "Resource": [f"arn:aws:s3:::{prefix}-{bucket}/*"]}
        for bucket, actions in _ALLOWED[duty]
    ]
    if duty in _LISTS:
        buckets = [f"arn:aws:s3:::{prefix}-{bucket}" for bucket in Bucket]
        statements.append({"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": buckets})
    return {"Version": "2012-10-17", "Statement": statements}


def upload_policy(prefix: str) -> dict[str, Any]:
    """What the upload account may do."""
    return policy_of(Duty.UPLOAD, prefix)


def provision(
    endpoint: str,
    *,
    access_key: str,
    secret_key: str,
    upload_access_key: str,
    upload_secret_key: str,
    single: Mapping[Duty, Credentials] | None = None,
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
        single: the accounts of the other duties.
        prefix: of the bucket names.
        region: of the server.
        secure: https.
    Raises: StoreUnavailable: the server does not answer, or is no MinIO (then make the accounts by its own means, with `policy_of`).
    """
    client = client_of(endpoint, Credentials(access_key, secret_key), region, secure)
    accounts = {Duty.UPLOAD: Credentials(upload_access_key, upload_secret_key), **(single or {})}
    with store_errors(endpoint, "the buckets"):
        for bucket in Bucket:
            if not client.bucket_exists(f"{prefix}-{bucket}"):
                client.make_bucket(f"{prefix}-{bucket}", region)
        admin = admin_of(endpoint, Credentials(access_key, secret_key), region, secure)
        for duty, keys in accounts.items():
            bring = _bring_user if duty is Duty.DOWNLOAD else _bring
            bring(admin, keys, policy_of(duty, prefix))


def _bring_user(admin: Any, keys: Credentials, policy: dict[str, Any]) -> None:
    """Make a user of MinIO, or give the one that is there this secret and this policy.

    A user can make accounts of its own, none of which may do more than itself: those that sign downloads (`tiles.store.signers`). A service
    account of the main one that could do that would make itself a master key.
    """
    from minio.error import MinioAdminException

    admin.user_add(keys.access_key, keys.secret_key)
    admin.policy_add(keys.access_key, policy=policy)
    try:
        admin.attach_policy([keys.access_key], user=keys.access_key)
    except MinioAdminException as error:
        if "AlreadyApplied" not in str(error):  # it has the policy, under this name
            raise


def _bring(admin: Any, keys: Credentials, policy: dict[str, Any]) -> None:
    """Make a service account, or give the one that is there this secret and this policy."""
    from minio.error import MinioAdminException

    try:
        admin.get_service_account(keys.access_key)
    except MinioAdminException:  # not there yet
        admin.add_service_account(access_key=keys.access_key, secret_key=keys.secret_key, policy=policy)
    else:
        admin.update_service_account(access_key=keys.access_key, secret_key=keys.secret_key, policy=policy)
