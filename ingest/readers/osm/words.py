"""Tags of OSM elements, and who wrote them when, as texts in the words of OSM XML."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.findings import info, warning
from ingest.readers.lanelet2.kinds import kind_of
from ingest.readers.osm.blocks import Block, Infos, Nodes, Relations, Ways
from ingest.readers.protobuf import Ints
from mapex.catalogue.finding import Finding
from tiles.batch import Kind

_JSON = json.JSONEncoder(ensure_ascii=False).encode


class ElementWords:
    """Tags and origin of some elements of a group, as texts."""

    def __init__(self, block: Block, group: Nodes | Ways | Relations, some: slice) -> None:
        self.block, self.some = block, some
        self.element = {Nodes: "node", Ways: "way", Relations: "relation"}[type(group)]
        self.ids = group.ids[some]
        self._begins = group.begins[some.start : some.stop + 1].tolist()
        self._offset = self._begins[0] if self._begins else 0
        self._texts = group.texts[self._offset : self._begins[-1] if self._begins else 0].tolist()
        self._infos = _stated(block, group.infos, some)
        self._found: list[Finding] = []
        self._damaged: list[tuple[str, str, str]] = []

    def tags(self, k: int) -> tuple[dict[str, str], list[list[str]]]:
        """Tags of element k, and further values of a key that comes twice."""
        begin, end = self._begins[k] - self._offset, self._begins[k + 1] - self._offset
        strings, codes = self.block.strings, self._texts[begin:end]
        tags = {strings[key]: strings[value] for key, value in zip(codes[-2::-2], codes[::-2], strict=True)}  # of two the first holds
        if self.block.damaged and not self.block.damaged.isdisjoint(codes):
            name = f"{self.element}/{self.ids[k]}"
            pairs = zip(codes[::2], codes[1::2], strict=True)
            self._damaged += [(name, strings[a], strings[b]) for a, b in pairs if {a, b} & self.block.damaged]
        if len(tags) * 2 == len(codes):
            return dict(reversed(tags.items())), []
        first: dict[str, str] = {}
        repeated = []
        for key, value in zip(codes[::2], codes[1::2], strict=True):
            if strings[key] in first:
                repeated.append([strings[key], strings[value]])
            else:
                first[strings[key]] = strings[value]
        return first, repeated

    def kind(self, k: int, tags: dict[str, str]) -> Kind:
        """The kind of element k."""
        if self.is_deleted(k):
            name = f"{self.element}/{self.ids[k]}"
            text = f"{name} is marked as deleted; it is kept as it is, as kind 'other'."
            self._found.append(info("element.deleted", text, "Remove it from the file.", feature=name))
            return Kind.OTHER
        return kind_of(self.element, tags)[0]

    def is_deleted(self, k: int) -> bool:
        """Whether element k is marked as deleted."""
        visible = self._infos.get("visible")
        return visible is not None and visible[k] == "false"

    def text(self, k: int, tags: dict[str, str], repeated: list[list[str]], own: dict[str, Any]) -> str:
        """Properties of element k as JSON."""
        source: dict[str, Any] = {"element": self.element, "id": int(self.ids[k])}
        source |= {name: value for name, column in self._infos.items() if (value := column[k]) is not None}
        source |= own | ({"repeated": repeated} if repeated else {})
        if "@source" in tags:
            tags = {("@source#" if key == "@source" else key): value for key, value in tags.items()}
        return _JSON({**tags, "@source": source})

    def untagged(self, ids: Ints) -> Any:
        """Properties of nodes as if none had tags, column by column."""
        pieces: list[Any] = [pa.scalar('{"@source": {"element": "node", "id": '), pa.array(ids).cast(pa.string())]
        for name, column in self._infos.items():
            distinct = pc.dictionary_encode(pa.array(column, pa.string()))
            words = [f', "{name}": {json.dumps(word, ensure_ascii=False)}' for word in distinct.dictionary.to_pylist()]
            pieces.append(pc.fill_null(pc.take(pa.array(words, pa.string()), distinct.indices), ""))
        return pc.binary_join_element_wise(*pieces, pa.scalar("}}"), pa.scalar(""))

    def findings(self, file: str) -> Iterator[Finding]:
        """What was found among the texts."""
        for finding in self._found:
            yield replace(finding, file=file, layer="hdmap")
        for feature, key, value in self._damaged[:1000]:
            text = f"{feature}: {key} holds bytes that mean no letter of UTF-8; only these were replaced."
            fix = "Save the file in the encoding that it declares."
            yield warning("text.damaged", text, fix, feature=feature, value=value[:200], file=file, layer="hdmap")


def _stated(block: Block, infos: Infos, some: slice) -> dict[str, list[str | None]]:
    """Who wrote elements and when, in the words of OSM XML; None where it is not stated, as osmium leaves it out."""
    found: dict[str, list[str | None]] = {}
    for name, column in infos.columns.items():
        numbers = column[some]
        if name == "timestamp":
            found[name] = _times(numbers * block.date_ms, numbers != 0)
        elif name == "user":
            found[name] = [block.strings[code] or None for code in numbers.tolist()]
        elif name == "visible":
            found[name] = [None if shown else "false" for shown in numbers.tolist()]
        else:
            least = 0 if name == "version" else 1
            found[name] = [str(number) if number >= least else None for number in numbers.tolist()]
    return {name: column for name, column in found.items() if any(value is not None for value in column)}


def _times(ms: Ints, known: Any) -> list[str | None]:
    whole = not (ms % 1000).any()
    stamps = ms.astype("datetime64[ms]").astype("datetime64[s]") if whole else ms.astype("datetime64[ms]")
    texts = np.datetime_as_string(stamps).tolist()
    return [f"{text}Z" if is_known else None for text, is_known in zip(texts, known.tolist(), strict=True)]
