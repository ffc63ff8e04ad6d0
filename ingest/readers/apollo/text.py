"""Apollo maps as text (`header { version: "1.5" }`): a stream of words, no message nested deeper than a bound.

Source: protobuf.dev, Text Format Language Specification. Names that the schema does not know are kept as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from ingest.readers.apollo.message import MAX_DEPTH, MAX_ELEMENT, MapElement, Tree, kind_of, put, settled
from ingest.readers.apollo.schema import BY_NAME, ENUMS, MESSAGES, SchemaField

_CHUNK = 1 << 20
_TOKEN = re.compile(
    rb"[\s,;]+|#[^\n]*"
    rb"|(?P<word>[A-Za-z_][\w.]*)"
    rb"|(?P<number>[-+]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?[fF]?))"
    rb"|(?P<text>\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*')"
    rb"|(?P<mark>[{}<>:\[\]-])",
    re.DOTALL,
)
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|[xX][0-9a-fA-F]{1,2}|.)", re.DOTALL)
_PLAIN = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_ENDS = {b"{": b"}", b"<": b">"}
Token = tuple[str, bytes]


def elements(file: BinaryIO) -> Iterator[MapElement]:
    """The elements of a map in order. Raises: ValueError: the text is cut or damaged from here on."""
    tokens = _Tokens(file)
    while (token := tokens.next()) is not None:
        name = _name(tokens, token)
        field = BY_NAME["Map"].get(name)
        tokens.taken = 0
        tree = _message(tokens, kind_of(field)) if (lead := _lead(tokens)) in _ENDS else None
        if tree is None:
            raise ValueError(f"{name[:40]!r} is no element but {lead[:20]!r}")
        yield MapElement(name, tree)


class _Tokens:
    def __init__(self, file: BinaryIO) -> None:
        self.file, self.buffer, self.at, self.is_whole = file, b"", 0, False
        self.taken = 0
        self._back: list[Token] = []

    def next(self) -> Token | None:
        """The next word, number, text or mark; None at the end."""
        if self._back:
            return self._back.pop()
        while True:
            found = _TOKEN.match(self.buffer, self.at)
            if (found is None or found.end() == len(self.buffer)) and not self.is_whole:
                self._more()
                continue
            if found is None:
                if self.at < len(self.buffer):
                    raise ValueError(f"{self.buffer[self.at : self.at + 20]!r} is no text of this form")
                return None
            self.at = found.end()
            if found.lastgroup is not None:
                return found.lastgroup, found.group(found.lastgroup)

    def back(self, token: Token) -> None:
        self._back.append(token)

    def must(self) -> Token:
        token = self.next()
        if token is None:
            raise ValueError("the text is cut")
        return token

    def _more(self) -> None:
        rest = self.buffer[self.at :]
        self.taken += _CHUNK
        if self.taken > MAX_ELEMENT or len(rest) > MAX_ELEMENT:
            raise ValueError(f"an element of over {MAX_ELEMENT} bytes")
        piece = self.file.read(_CHUNK)
        self.buffer, self.at, self.is_whole = rest + piece, 0, not piece


def _name(tokens: _Tokens, token: Token) -> str:
    kind, text = token
    if token == ("mark", b"["):
        kind, text = tokens.must()
        if tokens.must() != ("mark", b"]"):
            raise ValueError("a name in brackets that do not close")
    if kind != "word":
        raise ValueError(f"{text[:20]!r} stands where a name belongs")
    return text.decode()


def _lead(tokens: _Tokens) -> bytes:
    token = tokens.must()
    return tokens.must()[1] if token == ("mark", b":") else token[1]


def _message(tokens: _Tokens, kind: str) -> Tree:
    """The fields of a message whose opening mark was read."""
    whole: list[tuple[Tree, str, str, bool]] = [({}, kind, "", False)]
    while True:
        tree, of, _, _ = whole[-1]
        token = tokens.must()
        if token in (("mark", b"}"), ("mark", b">")):
            done, of, name, repeats = whole.pop()
            if not whole:
                return done
            put(whole[-1][0], name, settled(of, done), repeats)
            continue
        name = _name(tokens, token)
        field = BY_NAME.get(of, {}).get(name)
        repeats = field.repeats if field is not None else False
        lead = tokens.must()
        if lead == ("mark", b":"):
            lead = tokens.must()
        if lead[0] == "mark" and lead[1] in _ENDS:
            if len(whole) >= MAX_DEPTH:
                raise ValueError("messages are nested too deeply")
            inner = kind_of(field)
            whole.append(({}, inner if inner in MESSAGES else "", name, repeats))
        elif lead == ("mark", b"["):
            for value in _listed(tokens, field):
                put(tree, name, value, repeats=True)
        else:
            put(tree, name, _scalar(tokens, lead, field), repeats)


def _listed(tokens: _Tokens, field: SchemaField | None) -> Iterator[Any]:
    while (token := tokens.must()) != ("mark", b"]"):
        if token[0] == "mark" and token[1] in _ENDS:
            inner = kind_of(field)
            yield settled(inner, _message(tokens, inner if inner in MESSAGES else ""))
        else:
            yield _scalar(tokens, token, field)


def _scalar(tokens: _Tokens, token: Token, field: SchemaField | None) -> Any:
    kind, text = token
    if token == ("mark", b"-"):
        kind, text = tokens.must()
        text = b"-" + text
    wanted = kind_of(field)
    if kind == "text":
        whole = [_unescaped(text)]
        while (more := tokens.next()) is not None and more[0] == "text":
            whole.append(_unescaped(more[1]))
        if more is not None:
            tokens.back(more)
        return b"".join(whole).decode("utf-8", "replace")
    if kind not in ("word", "number"):
        raise ValueError(f"{text[:20]!r} stands where a value belongs")
    word = text.decode()
    if wanted == "double" or (not wanted and kind == "number"):
        return _number(word, wanted)
    if wanted == "bool":
        return word.lower() in ("true", "t", "1")
    if wanted == "int" or (kind == "number" and wanted in ENUMS):
        value = int(word, 0)
        return ENUMS.get(wanted, {}).get(value, value)
    return word


def _number(word: str, wanted: str) -> float | int:
    if not wanted and re.fullmatch(r"[-+]?(0[xX][0-9a-fA-F]+|\d+)", word):
        return int(word, 16) if "x" in word.lower() else int(word)
    return float(int(word, 16)) if "x" in word.lower() else float(word.rstrip("fF") if not word.lower().endswith("inf") else word)


def _unescaped(text: bytes) -> bytes:
    return _ESCAPE.sub(_byte, text[1:-1]) if b"\\" in text else text[1:-1]


def _byte(found: re.Match[bytes]) -> bytes:
    code = found.group(1)
    if code[:1].isdigit():
        return bytes([int(code, 8) & 0xFF])
    if code[:1] in b"xX" and len(code) > 1:
        return bytes([int(code[1:], 16)])
    return _PLAIN.get(code, code)
