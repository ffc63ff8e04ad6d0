"""Counts in Korean: 만 and 억 from 10,000 on, without losing a digit, and by servers and scripts alike."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

import web
from tests.support.exchange import an_exchange
from tests.support.processes import node
from web import create_app
from web.words import numbers, units
from web.words.language import script_messages
from web.words.vocabulary import vocabulary

I18N = Path(web.__file__).parent / "static" / "js" / "base" / "i18n.js"
WRITTEN = """
const [at, data] = process.argv.slice(1);
const { page, counts, lines } = JSON.parse(data);
globalThis.document = { getElementById: () => ({ textContent: JSON.stringify(page) }) };
const { charged, digits, number } = await import(at);
console.log(JSON.stringify([counts.map(number), counts.map(digits), lines.map(charged)]));
"""
COUNTS = [0, 7, 9_999, 10_000, 12_345, 25_000, 256_000, 100_001, 10**8 - 1, 10**8, 123_456_789, 1.5e8, 10**12 + 1, -256_000, 12_345.5, 0.25]
LINES: list[dict[str, Any]] = [
    {"quantity": quantity, "unit": unit, "rate": 4000}
    for quantity in (0.000007, 0.256, 12.3, 1500)
    for unit in ("million_points", "lane_km")
]
SIZE = {"만": 10**4, "억": 10**8, "조": 10**12, "": 1}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    return create_app(an_exchange(tmp_path_factory.mktemp("numbers") / "ex"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (9_999, "9,999"),
        (256_000, "25.6만"),
        (12_345, "1만 2,345"),
        (10**8, "1억"),
        (123_456_789, "1억 2,345만 6,789"),
        (12_345.5, "12,345.5"),
    ],
)
def test_a_korean_reads_large_counts_in_myriads(app: Flask, value: float, text: str) -> None:
    with app.test_request_context("/?lang=ko"):
        assert numbers.number(value) == text
    with app.test_request_context("/?lang=en"):
        assert numbers.number(value) == numbers.digits(value) == f"{value:,}"


@given(st.integers(min_value=0, max_value=2**53))
def test_a_count_in_myriads_can_be_read_back(app: Flask, value: int) -> None:
    with app.test_request_context("/?lang=ko"):
        parts = re.findall(r"([\d,.]+)([만억조]?)", numbers.number(value))
    assert round(sum(float(part.replace(",", "")) * SIZE[name] for part, name in parts)) == value


@pytest.mark.parametrize("lang", ["ko", "en"])
def test_scripts_write_counts_and_lines_of_prices_as_the_server_does(app: Flask, lang: str) -> None:
    with app.test_request_context(f"/?lang={lang}"):
        expected = [
            [numbers.number(count) for count in COUNTS],
            [numbers.digits(count) for count in COUNTS],
            [units.charged(line["quantity"], line["unit"], line["rate"]) for line in LINES],
        ]
        page = {"language": lang, "messages": script_messages(), "words": vocabulary()}
    found = json.loads(node(WRITTEN, I18N.as_uri(), json.dumps({"page": page, "counts": COUNTS, "lines": LINES})))
    assert found == expected


def test_points_are_counted_and_not_millions_of_them(app: Flask) -> None:
    with app.test_request_context("/?lang=ko"):
        assert units.charged(0.256, "million_points", 4000) == "25.6만 점 (100만 점당 ₩4,000)"
        assert units.charged(1.5, "lane_km", 6300) == "1.5 차로 km × ₩6,300"
    with app.test_request_context("/?lang=en"):
        assert units.charged(0.256, "million_points", 4000) == "0.256 M points × ₩4,000"
