"""Help inside the product: every guide is there in both languages, nothing in it is raw HTML, every link and code leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.exchange import an_exchange
from web import create_app
from web.words.documents import guides

ROOT = Path(guides.__file__).parents[3]
PAGES = [(name, lang) for name in guides.GUIDES for lang in ("ko", "en")]


@pytest.mark.parametrize(("name", "lang"), PAGES)
def test_a_guide_is_whole_and_its_links_lead_to_what_is_there(name: str, lang: str) -> None:
    found = guides.guide(name, lang)
    assert found and found.title and len(found.html) > 1000
    assert found.lang == ("ko" if lang == "ko" and name in guides.KOREAN else "en")
    assert "**" not in re.sub(r"<(code|pre)\b.*?</\1>", "", found.html, flags=re.DOTALL), "a mark that was not understood"
    for href in re.findall(r'href="([^"]*)"', found.html):
        page, _, anchor = href.partition("#")
        other = guides.guide(page.removeprefix("/help/"), lang) if page else found
        assert page.startswith("https://") or other, href
        assert not anchor or f'id="{anchor}"' in other.html, href  # type: ignore[union-attr]
    assert all(f'id="{anchor}"' in found.html for anchor, _ in found.sections)


def test_korean_guides_have_the_sections_of_the_english_ones_in_their_order() -> None:
    """As many tables and examples, so that none is forgotten; sections may be joined, and are never fewer than two thirds."""
    for name in guides.KOREAN:
        korean, english = guides.guide(name, "ko"), guides.guide(name, "en")
        assert korean and english
        assert korean.html.count("<table>") == english.html.count("<table>"), name
        assert len(korean.sections) * 3 >= len(english.sections) * 2, name


def test_html_in_a_guide_is_text_and_scripts_are_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "buyer.md").write_text("# Buying\n\n<script>alert(1)</script> [x](javascript:alert(1)) <img src=x onerror=y>\n")
    monkeypatch.setattr(guides, "PACKAGED", tmp_path)
    guides._guide.cache_clear()
    try:
        found = guides.guide("buyer", "en")
        assert found and "<script" not in found.html and "<img" not in found.html and "href" not in found.html
        assert "&lt;script&gt;" in found.html
    finally:
        guides._guide.cache_clear()


@pytest.mark.parametrize(
    ("asked", "lang", "first"),
    [
        ("region.crossing", "ko", "/help/codes#region.crossing"),
        ("crosses itself", "en", "/help/buyer#the-area"),
        ("체크포인트", "ko", "/help/auditor#기록-검증"),
        ("mapex_part_size", "en", "/help/configuration#"),
        ("예치금 내역", "ko", "/help/seller#"),
    ],
)
def test_search_finds_words_codes_and_korean_inside_of_words(asked: str, lang: str, first: str) -> None:
    hits = guides.search(asked, lang)
    addresses = [f"/help/{hit.passage.name}#{hit.passage.anchor}" for hit in hits]
    assert any(address.startswith(first) for address in addresses), addresses
    assert all(any(is_asked for _, is_asked in hit.pieces) or asked.split(maxsplit=1)[0] in hit.passage.heading.lower() for hit in hits[:3])
    assert not guides.search("", lang) and not guides.search("no such words at all", lang)


def test_pages_show_guides_to_everybody_and_errors_lead_to_their_code(tmp_path: Path) -> None:
    client = create_app(an_exchange(tmp_path / "exchange")).test_client()
    for lang in ("ko", "en"):
        for name in guides.GUIDES:
            assert client.get(f"/help/{name}?lang={lang}").status_code == 200
        found = client.get("/help", query_string={"lang": lang, "q": "<b>region.crossing"}).text
        assert "&lt;b&gt;region.crossing" in found and "<b>region" not in found
    assert client.get("/help/absent").status_code == 404
    shown = client.get("/invite/of-nobody").text
    assert 'href="/help/codes#invitation.unknown"' in shown


def test_the_wheel_takes_the_guides_along() -> None:
    listed = dict(re.findall(r'"(docs/[^"]+)" = "(web/guides/[^"]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8")))
    assert listed == {**{f"docs/{name}.md": f"web/guides/{name}.md" for name in guides.GUIDES}, "docs/ko": "web/guides/ko"}
    assert {path.stem for path in (ROOT / "docs" / "ko").iterdir()} == guides.KOREAN
