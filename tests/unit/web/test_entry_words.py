"""The fields of an entry have words, in Korean too, and an access of before says what is not recorded of it."""

from __future__ import annotations

import json
import lzma
import re
from pathlib import Path

import pytest

from mapex.audit.log import COLUMNS
from web.words.entries import FIELDS, in_order

KEPT = Path(__file__).resolve().parents[2] / "kept" / "exchange_0_1" / "sqlite.sql.xz"


def kept_fields() -> set[str]:
    """The fields of all entries that mapex 0.1 wrote in its exchange."""
    text = lzma.decompress(KEPT.read_bytes()).decode()
    entries = [json.loads(found.replace("''", "'")) for found in re.findall(r"'(\{\"action\".*?\})','[0-9a-f]{64}'", text)]
    assert entries
    return {name for entry in entries for name in entry}


@pytest.mark.parametrize("fields", [kept_fields(), {*COLUMNS, "network"}], ids=["kept", "own"])
def test_every_field_of_an_entry_has_a_word(fields: set[str]) -> None:
    assert fields - {"v", "at", "action"} <= FIELDS.keys()


def test_the_fields_that_an_auditor_asks_for_stand_first() -> None:
    facts = {
        "v": 1,
        "action": "access.granted",
        "grant": "g",
        "tile": "1",
        "strange": 0,
        "permit": "P",
        "person": "p",
        "network": "n",
        "class": "c",
    }
    assert list(in_order(facts)) == ["person", "permit", "class", "network", "tile", "grant", "strange"]


def test_an_access_without_class_or_network_says_so() -> None:
    assert in_order({"action": "access.granted", "tile": "1"}) == {"class": None, "network": None, "tile": "1"}
    assert in_order({"action": "order.placed", "order": "o"}) == {"order": "o"}
