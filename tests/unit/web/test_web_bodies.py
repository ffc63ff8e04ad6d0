"""What no database can keep is found in JSON as it is written, exactly where it is in the text that was meant."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from web.edge import bodies

PIECES = st.sampled_from(["\x00", "\ud800", "\udc00", "\U0001f600", "a", "\\", "u", "u0000", "ud800", "\\u0000", '"', "\n", "0"])


@given(st.lists(PIECES, max_size=8).map("".join), st.booleans())
def test_escapes_are_read_as_json_reads_them(text: str, as_name: bool) -> None:
    raw = json.dumps({text: 1} if as_name else {"name": [[text]]}).encode()
    (read,) = json.loads(raw)
    meant = read if as_name else json.loads(raw)["name"][0][0]
    kept = "\x00" not in meant and not any("\ud800" <= letter <= "\udfff" for letter in meant)
    assert bodies._holds_unkept(raw) == (not kept)
    if not kept:
        assert bodies._found_in(raw) == ("the body" if as_name else "name", meant)
