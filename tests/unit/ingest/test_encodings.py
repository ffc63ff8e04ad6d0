"""Encodings by the names that files give them; decoding never fails, and loses the broken letter alone."""

from __future__ import annotations

import json
from encodings.aliases import aliases

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.checks.encodings import Decoder, codec_of, decoded, is_text, without_halves

SPELLINGS = {
    "cp949": ("EUC-KR", "euckr", "949", "CP949", "MS949", "windows-949", "x-windows-949", "KS_C_5601-1987", "uhc", "ANSI 949"),
    "utf-8": ("UTF-8", "utf8", "65001", "CP65001", "US-ASCII", '"UTF-8"'),
    "cp1252": ("1252", "ANSI 1252", "windows-1252", "cp1252"),
    "iso8859-1": ("ISO-8859-1", "88591", "ISO 8859-1", "latin1"),
    "gb18030": ("GBK", "GB2312", "936", "gb18030"),
}
CODECS = sorted({codec for name in (*aliases, *SPELLINGS) if (codec := codec_of(name)) is not None})


@pytest.mark.parametrize(("codec", "name"), [(codec, name) for codec, names in SPELLINGS.items() for name in names])
def test_an_encoding_is_known_by_every_spelling(codec: str, name: str) -> None:
    assert codec_of(name) == codec


@pytest.mark.parametrize(
    "name",
    ["", "FOO", "hex", "zlib", "rot13", "idna", "unicode_escape", "undefined", "utf-16", "utf-32le", "utf-7", "a\0b", "LDID/78", "1", "é"],
)
def test_what_names_no_encoding_of_files_is_none(name: str) -> None:
    assert codec_of(name) is None


@given(st.sampled_from(CODECS), st.binary(max_size=30), st.integers(0, 30))
def test_any_bytes_decode_in_one_piece_or_two(codec: str, raw: bytes, at: int) -> None:
    text, broken = decoded(raw, codec)
    assert broken == (not _reads(raw, codec))
    decoder = Decoder(codec)
    pieces = decoder.decode(raw[:at], final=False) + decoder.decode(raw[at:], final=True)
    assert broken or (pieces == text and decoder.broken == 0)


def _reads(raw: bytes, codec: str) -> bool:
    try:
        raw.decode(codec)
    except UnicodeDecodeError:
        return False
    return True


@given(st.text(st.characters(), max_size=20))
def test_half_a_letter_is_replaced_and_nothing_else(text: str) -> None:
    whole = without_halves(text)
    assert is_text(whole)
    assert whole == text if is_text(text) else len(whole) <= len(text)
    assert [letter for letter in whole if letter != "\ufffd"] == [c for c in json.loads(json.dumps(text)) if is_text(c) and c != "\ufffd"]
