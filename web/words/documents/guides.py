"""The guides of `docs/` as pages of the product: found in the package, made HTML with nothing raw in it, searched without a network."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from flask_babel import lazy_gettext

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

PACKAGED = Path(__file__).parents[2] / "guides"
"""Where the wheel has them (`pyproject.toml`); a checkout has `docs`."""

GUIDES = ("buyer", "seller", "auditor", "operator", "previews", "cli", "codes", "configuration", "threats")
"""The guides by name, in the order of the list."""

KOREAN = frozenset({"buyer", "seller", "auditor"})
"""Those that are there in Korean (`docs/ko`); the others are in English in both languages."""

ENGLISH = {
    "operator": lazy_gettext("Operating (in English)"),
    "previews": lazy_gettext("Previews (in English)"),
    "cli": lazy_gettext("Command line (in English)"),
    "codes": lazy_gettext("Codes (in English)"),
    "configuration": lazy_gettext("Configuration (in English)"),
    "threats": lazy_gettext("Threats (in English)"),
}
"""What the others are called in a list of another language."""

MOST_FOUND = 30
AROUND = 90
"""Characters of a passage before and after what was looked for."""

_CODE = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)+")
_LINK = re.compile(r"(?:\.\./)?(?:ko/)?([a-z]+)\.md(#.*)?")
_NO_ANCHOR = re.compile(r"[^\w\- ]")


@dataclass(frozen=True, slots=True)
class Guide:
    """A guide: its language, the title, the headings of its sections (anchor and text), and the HTML below the title."""

    name: str
    lang: str
    title: str
    sections: tuple[tuple[str, str], ...]
    html: str

    def __html__(self) -> str:
        """What a template shows without escaping: the parser escapes what the text of a guide holds (`_parser`)."""
        return self.html


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a guide that search finds: a paragraph, a line of a table, a list or an example, below a heading."""

    name: str
    lang: str
    title: str
    heading: str
    anchor: str
    text: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found, cut to what was looked for: pieces of text, and whether each is what was asked."""

    passage: Passage
    pieces: tuple[tuple[str, bool], ...]

    @property
    def about(self) -> str:
        """Below which heading it stands, behind the title of the guide."""
        return f" · {self.passage.heading}" if self.passage.heading not in ("", self.passage.title) else ""


def guide(name: str, lang: str) -> Guide | None:
    """The guide of this name in this language, or in English where there is none; None: there is no such guide."""
    return _guide(name, _lang(name, lang)) if name in GUIDES else None


def titles(lang: str) -> list[tuple[str, str]]:
    """Name and title of each guide, in the language of the list; where only English is there, the title says so."""
    found = {name: _guide(name, _lang(name, lang)) for name in GUIDES}
    return [(name, one.title if one.lang == lang else str(ENGLISH[name])) for name, one in found.items()]


def documents(code: str) -> bool:
    """Whether the list of codes has this one."""
    return code in _codes()


def search(words: str, lang: str) -> Sequence[Hit]:
    """Passages that hold all of these words, the best first: codes and headings before text, guides in the order of the list."""
    wanted = words.casefold().split()[:8]
    if not wanted:
        return ()
    found = []
    for at, passage in enumerate(p for name in GUIDES for p in _passages(name, _lang(name, lang))):
        text, head = passage.text.casefold(), f"{passage.heading} {passage.anchor}".casefold()
        if all(word in text or word in head for word in wanted):
            score = sum((word == passage.anchor) * 8 + (word in head) * 3 + (word in text) for word in wanted)
            found.append((-score, at, passage))
    return [Hit(passage, _cut(passage.text, wanted)) for _, _, passage in sorted(found, key=lambda one: one[:2])[:MOST_FOUND]]


def _cut(text: str, wanted: Sequence[str]) -> tuple[tuple[str, bool], ...]:
    """The part of a text around the first of these words, in pieces."""
    pattern = re.compile("|".join(re.escape(word) for word in sorted(wanted, key=len, reverse=True)), re.IGNORECASE)
    first = pattern.search(text)
    at = first.start() if first else 0
    begin, end = max(0, at - AROUND), min(len(text), at + 2 * AROUND)
    part = ("… " if begin else "") + text[begin:end] + (" …" if end < len(text) else "")
    pieces, last = [], 0
    for match in pattern.finditer(part):
        pieces += [(part[last : match.start()], False), (match[0], True)]
        last = match.end()
    return tuple((piece, is_asked) for piece, is_asked in [*pieces, (part[last:], False)] if piece)


def _lang(name: str, lang: str) -> str:
    return "ko" if lang == "ko" and name in KOREAN else "en"


def _source(name: str, lang: str) -> str:
    folder = PACKAGED if PACKAGED.is_dir() else Path(__file__).parents[3] / "docs"
    return (folder / "ko" / f"{name}.md" if lang == "ko" else folder / f"{name}.md").read_text(encoding="utf-8")


@cache
def _guide(name: str, lang: str) -> Guide:
    tokens = _tokens(name, lang)
    title = tokens[1].content
    level = "h2" if any(token.tag == "h2" for token in tokens) else "h3"
    sections = tuple((str(token.attrs["id"]), after.content) for token, after in _headings(tokens) if token.tag == level)
    return Guide(name, lang, title, sections, str(_parser().renderer.render(tokens[3:], _parser().options, {})))


@cache
def _codes() -> frozenset[str]:
    return frozenset(passage.anchor for passage in _passages("codes", "en"))


@cache
def _passages(name: str, lang: str) -> tuple[Passage, ...]:
    return tuple(_parts(name, lang, _tokens(name, lang)))


def _parts(name: str, lang: str, tokens: Sequence[Token]) -> Iterator[Passage]:
    title, heading, anchor, row, cells = tokens[1].content, "", "", "", list[str]()
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            heading, anchor = tokens[at + 1].content.replace("`", ""), str(token.attrs["id"])
        elif token.type == "tr_open":
            row, cells = str(token.attrs.get("id", "")), []
        elif token.type == "tr_close":
            yield Passage(name, lang, title, row or heading, row or anchor, " · ".join(cells))
        elif token.type == "inline" and tokens[at - 1].type in ("th_open", "td_open"):
            cells.append(_plain(token))
        elif token.type in ("inline", "fence") and tokens[at - 1].type != "heading_open":
            yield Passage(name, lang, title, heading, anchor, _plain(token))


def _plain(token: Token) -> str:
    """The text of a token, without its marks."""
    if token.children is None:
        return " ".join(token.content.split())
    return " ".join("".join(child.content if child.content else " " for child in token.children).split())


def _tokens(name: str, lang: str) -> list[Token]:
    """A guide in pieces: headings and lines of codes have anchors, links lead to pages of the product."""
    tokens = _parser().parse(_source(name, lang))
    taken: dict[str, int] = {}
    for token, after in _headings(tokens):
        anchor = _NO_ANCHOR.sub("", after.content.replace("`", "").lower()).strip().replace(" ", "-")
        taken[anchor] = taken.get(anchor, 0) + 1
        token.attrSet("id", anchor if taken[anchor] == 1 else f"{anchor}-{taken[anchor]}")
    for at, token in enumerate(tokens):
        if token.type == "tr_open" and name == "codes" and _CODE.fullmatch(tokens[at + 2].content.strip("`")):
            token.attrSet("id", tokens[at + 2].content.strip("`"))
        for child in token.children or ():
            if child.type == "link_open":
                _lead(child)
    return tokens


def _headings(tokens: Sequence[Token]) -> Iterator[tuple[Token, Token]]:
    return ((token, tokens[at + 1]) for at, token in enumerate(tokens) if token.type == "heading_open")


def _lead(link: Token) -> None:
    """A link between guides leads to the page; one to what is no guide leads nowhere, and its text stays."""
    found = _LINK.fullmatch(str(link.attrs["href"]))
    if found and found[1] in GUIDES:
        link.attrSet("href", f"/help/{found[1]}{found[2] or ''}")
    elif not str(link.attrs["href"]).startswith(("#", "/", "https://")):
        del link.attrs["href"]


@cache
def _parser() -> MarkdownIt:
    """CommonMark with tables. HTML in a guide is text, and addresses that run scripts are no links (`MarkdownIt.validateLink`)."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.add_render_rule("table_open", lambda *_: '<div class="scroll-x" tabindex="0"><table>\n')
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    parser.add_render_rule("fence", lambda self, tokens, at, *_: f'<pre tabindex="0"><code>{_escaped(tokens[at].content)}</code></pre>\n')
    return parser


def _escaped(text: str) -> str:
    from html import escape

    return escape(text)
