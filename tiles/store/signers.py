"""Signers of downloads in MinIO: an account for each, which may read tiles and nothing else, and whose end ends all that it signed.

A signature of S3 cannot be taken back, but the account behind it can. Accounts are made when they are first needed, with a secret that
follows from the one for downloads, so that every process signs alike and nothing is kept. On an S3 that knows no such accounts that one
signs itself (`fixed`); what it signed then lives to its own end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from tiles.store.signing import Credentials, derived

if TYPE_CHECKING:
    from minio.minioadmin import MinioAdmin

KNOWN_BEFORE = "XMinioIAMServiceAccountNotAllowed"
"""What MinIO answers to whoever makes an account that is there."""
UNKNOWN = "XMinioInvalidIAMCredentials"
"""What it answers to whoever removes one that is not."""


def download_policy(bucket: str) -> dict[str, Any]:
    """What a signer of downloads may do: read objects of this bucket whose names it knows."""
    statement = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [f"arn:aws:s3:::{bucket}/*"]}
    return {"Version": "2012-10-17", "Statement": [statement]}


class DownloadSigners:
    """The signers of one store.

    Args:
        master: of whom the accounts are; it must be able to make accounts for itself, as every user of MinIO can. What it may not do,
            they may not either.
        bucket: that they may read.
        admin: how MinIO is spoken to about accounts; called when first needed.
        errors: turns what the client raises into errors of the store.
        fixed: it signs itself, in place of all of them.
    """

    def __init__(
        self,
        master: Callable[[], Credentials],
        bucket: str,
        *,
        admin: Callable[[], MinioAdmin],
        errors: Callable[[str], AbstractContextManager[None]],
        fixed: bool = False,
    ) -> None:
        self._master, self._bucket, self._fixed = master, bucket, fixed
        self._admin, self._errors = admin, errors
        self._admitted: set[str] = set()

    def keys_of(self, signer: str) -> Credentials:
        """What a signer signs with."""
        master = self._master()
        if self._fixed:
            return master
        # MinIO takes names of at most 20 characters. Stores of other buckets on the same server have signers of their own.
        name = "dl" + hashlib.sha256(f"{self._bucket} {signer}".encode()).hexdigest()[:18]
        return Credentials(name, derived(master, f"{self._bucket} {signer}").secret_key)

    def admit(self, signer: str) -> bool:
        """See `ObjectStore.admit`."""
        if self._fixed or signer in self._admitted:
            return False
        from minio.error import MinioAdminException

        keys = self.keys_of(signer)
        with self._errors(signer):
            try:
                self._admin().add_service_account(
                    access_key=keys.access_key, secret_key=keys.secret_key, policy=download_policy(self._bucket)
                )
                made = True
            except MinioAdminException as error:
                if KNOWN_BEFORE not in str(error):
                    raise
                made = False
        self._admitted.add(signer)
        return made

    def retire(self, signer: str) -> None:
        """See `ObjectStore.retire`."""
        if self._fixed:
            return
        from minio.error import MinioAdminException

        self._admitted.discard(signer)
        with self._errors(signer):
            try:
                self._admin().delete_service_account(self.keys_of(signer).access_key)
            except MinioAdminException as error:
                if UNKNOWN not in str(error):
                    raise
