"""Texts that people give: what may be stored, and how it is shown on a terminal."""

from __future__ import annotations

import re

from mapex.errors import Invalid

_UNSEEN = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f"
"""Characters that a terminal obeys instead of showing them, or that turn or hide what stands around them; and halves of letters."""
_OBEYED = re.compile(f"[{_UNSEEN}]")
_OBEYED_OR_BREAK = re.compile(f"[\t\n{_UNSEEN}]")


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


def shown(text: str) -> str:
    r"""A text for a terminal: what would steer it is written out (`\x1b`, `\u202e`); lines and tabs stay."""
    return _OBEYED.sub(_written_out, text)


def one_line(text: str) -> str:
    r"""As `shown`, for a name or value within a line: a line break is written out too (`\n`), or it would forge a line of ours."""
    return _OBEYED_OR_BREAK.sub(_written_out, text)


def shown_json(text: str) -> str:
    r"""JSON text for a terminal: the same value, in which what would steer the terminal is escaped (`\u009b`)."""
    return _OBEYED.sub(lambda match: _json_escape(match.group()), text)


def _written_out(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode()


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
