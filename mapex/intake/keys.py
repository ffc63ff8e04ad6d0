"""Keys of stored objects: whose they are stands in front, what they hold behind."""

from __future__ import annotations


def object_key(org_id: str, sha256: str) -> str:
    """Key in the `data` area of content of an organisation: equal content is one object, and never another organisation's."""
    return f"{org_id}/{sha256}"


def preview_key(org_id: str, sha256: str) -> str:
    """Key in the `data` area of a preview: content-addressed as tiles are, and apart from them."""
    return f"previews/{org_id}/{sha256}"


def org_of_key(key: str) -> str:
    """Whose an `object_key` or `preview_key` is; empty for what is neither."""
    return key.split("/")[-2] if "/" in key else ""
