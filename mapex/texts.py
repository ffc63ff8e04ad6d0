"""Texts that people give: what may be stored and shown."""

from __future__ import annotations

from mapex.errors import Invalid


def check_text(value: str, name: str, longest: int) -> str:
    """`value` stripped.

    Raises: Invalid: empty, too long, or with control characters (PostgreSQL cannot store NUL) or half characters.
    """
    text = value.strip()
    if not text or len(text) > longest or any(_is_unusable(character) for character in text):
        raise Invalid("text.malformed", f"`{name}` must have 1 to {longest} characters without control characters.", field=name)
    return text


def _is_unusable(character: str) -> bool:
    code = ord(character)
    return (code < 32 and character not in "\n\t") or code == 127 or 0xD800 <= code <= 0xDFFF
