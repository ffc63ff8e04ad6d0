"""Identifiers: random, prefixed by what they name, sortable by nothing."""

from __future__ import annotations

import secrets
from typing import NewType

OrgId = NewType("OrgId", str)
PersonId = NewType("PersonId", str)
UploadId = NewType("UploadId", str)
JobId = NewType("JobId", str)
DatasetId = NewType("DatasetId", str)
VersionId = NewType("VersionId", str)
LayerId = NewType("LayerId", str)
OfferId = NewType("OfferId", str)
QuoteId = NewType("QuoteId", str)
OrderId = NewType("OrderId", str)
GrantId = NewType("GrantId", str)
PermitId = NewType("PermitId", str)
TokenId = NewType("TokenId", str)

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford base 32: no letters that are read wrongly on the phone


def new(prefix: str) -> str:
    """A new identifier `prefix_` + 20 characters (100 random bits)."""
    return prefix + "_" + "".join(secrets.choice(_ALPHABET) for _ in range(20))
