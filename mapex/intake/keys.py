"""Keys of stored objects: whose they are stands in front, what they hold behind."""

from __future__ import annotations

REVIEWS = "reviews/"
"""How the keys of documents of reviews begin."""


def object_key(org_id: str, sha256: str) -> str:
    """Key in the `data` area of content of an organisation: equal content is one object, and never another organisation's."""
    return f"{org_id}/{sha256}"


def preview_key(org_id: str, sha256: str) -> str:
    """Key in the `data` area of a preview: content-addressed as tiles are, and apart from them."""
    return f"previews/{org_id}/{sha256}"


def review_key(org_id: str, sha256: str) -> str:
    """Key in the `data` area of the document of a review of footage."""
    return f"{REVIEWS}{org_id}/{sha256}"


def org_of_key(key: str) -> str:
    """Whose an `object_key`, `preview_key` or `review_key` is; empty for what is neither."""
    return key.split("/")[-2] if "/" in key else ""
