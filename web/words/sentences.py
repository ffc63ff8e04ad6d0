"""Sentences of findings in other languages than English, with all that they name.

The service keeps a finding in English, written out. Here it is recognised by the sentence that it was made from, its values are taken out,
and the sentence of the other language is filled with them: so what was stored long ago is read in full too.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

TABLES = Path(__file__).parents[1] / "translations"
FIX, PART = "fix", "part"
_PLACE = re.compile(r"%\((\w+)\)s")


def translated(lang: str, code: str, message: str) -> str | None:
    """The sentence of a finding of this code; None for one that is not in the table of the language."""
    return _filled(lang, code, message)


def remedy(lang: str, fix: str) -> str | None:
    """What to do about a finding; None for advice that is not in the table of the language."""
    return _filled(lang, FIX, fix)


@lru_cache(maxsize=4)
def table(lang: str) -> Mapping[str, Mapping[str, str]]:
    """English sentences and those of the language, by code."""
    path = TABLES / lang / "findings.toml"
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


@lru_cache(maxsize=4096)
def _filled(lang: str, name: str, text: str) -> str | None:
    for source, sentence in table(lang).get(name, {}).items():
        found = values(source, text)
        if found is None and source.endswith(" %(guess)s"):  # nothing was guessed
            found = values(source, f"{text} ")
        if found is not None:
            inner = found if name == PART else {one: _filled(lang, PART, value) or value for one, value in found.items()}
            return "".join(inner[one] if at % 2 else one for at, one in enumerate(_PLACE.split(sentence))).strip()
    return None


def values(source: str, text: str) -> dict[str, str] | None:
    """The values with which `source` was made into `text`; None where it was not. In one pass: names of files may be made to slow it."""
    first, *rest = _PLACE.split(source)  # text, name, text, name, ..., text
    last = rest[-1] if rest else ""
    end = len(text) - len(last)
    if not rest or not text.startswith(first) or not text.endswith(last) or end < len(first):
        return {} if source == text else None
    found, at = {}, len(first)
    for name, behind in zip(rest[:-2:2], rest[1:-1:2], strict=True):
        stop = text.find(behind, at, end)
        if stop < 0:
            return None
        found[name], at = text[at:stop], stop + len(behind)
    return found | {rest[-2]: text[at:end]} if at <= end else None
