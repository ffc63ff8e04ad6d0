"""A LAS file looked at for pictures: its records (VLR, EVLR), its extra bytes, the columns of its points."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tiles.batch import TILE_KEY
from tiles.errors import InvalidContent
from tiles.footage import signatures
from tiles.footage.clouds import CloudProof
from tiles.footage.doubts import Doubts, Unproven
from tiles.footage.numbers import NumberProof
from tiles.footage.text import TextProof, of_document
from tiles.points.fields import UNDESCRIBED, point_format
from tiles.points.header import Header, Vlr
from tiles.points.laz import Records

MOST_RECORD = 4096
"""Bytes of records that are neither text nor defined by LAS: settings of a scanner have some hundred, a picture has more."""
_DEFINED = frozenset({("LASF_Projection", 34735), ("LASF_Spec", 4)})
"""Records of numbers whose form LAS defines; what of LAS is text is looked at like all text."""
_DOUBLES = ("LASF_Projection", 34736)
_LONGEST = 20_000
_PACKING = ("laszip encoded", 22204)


class LasProof:
    """Takes the header and then the points of one file in. `cloud`: what the columns of all tiles of a source hold together."""

    def __init__(self, header: Header, cloud: CloudProof | None = None) -> None:
        self._doubts, self._cloud = Doubts(), cloud or CloudProof()
        for doubt in of_header(header):
            self._doubts.add(*doubt)
        self._form = None
        try:
            self._form = point_format(header).dtype()
        except InvalidContent as why:
            self._doubts.add("extra bytes", f"{why.message[:1].lower()}{why.message[1:].rstrip('.')}")

    def take(self, records: Records) -> None:
        """Take some points in."""
        plain = np.ascontiguousarray(records)
        if (found := signatures.found_in(plain.data.cast("B") if plain.size else b"", packed=False)) is not None:
            self._doubts.add("points", f"their bytes are {found}")
        if self._form is None or not len(plain):
            return
        rows = plain.view(self._form).ravel()
        if UNDESCRIBED in (self._form.names or ()) and (rows[UNDESCRIBED] != rows[UNDESCRIBED][0]).any():
            self._doubts.add("extra bytes", "no record of the file describes them")
        for name, why in self._cloud.doubts({name: rows[name] for name in self._form.names or ()}).items():
            self._doubts.add(f"column {name}", why)

    def doubts(self) -> list[Unproven]:
        """What cannot be proven."""
        return self._doubts.all()


def of_header(header: Header) -> Iterator[Unproven]:
    """What of a header and its records cannot be proven."""
    left = MOST_RECORD
    records = (*header.vlrs, *header.evlrs)
    for where, words in (("names", [one.user for one in records]), ("descriptions", [one.text.decode("latin-1") for one in records])):
        # Some programs leave what was in memory behind the end of a name: a few such bytes are no reason, thousands are.
        shown = "".join(letter if letter.isprintable() else " " for letter in " ".join(word for word in words if word))
        if (why := TextProof().doubt(shown)) is not None:
            yield Unproven(f"{where} of records", why)
    for record in records:
        if (record.user, record.record) == _PACKING:
            continue
        where = f"record {record.user[:16]} {record.record}"
        if (found := signatures.found_in(record.text + record.data)) is not None:
            yield Unproven(where, f"it holds {found}")
        elif _is_text(record):
            if (why := of_document(record.data.rstrip(b"\0"))) is not None:
                yield Unproven(where, why)
        elif (record.user, record.record) == _DOUBLES and len(record.data) <= _LONGEST:
            if (why := NumberProof().doubt(np.frombuffer(record.data[: len(record.data) // 8 * 8], "<f8"))) is not None:
                yield Unproven(where, why)
        elif (record.user, record.record) not in _DEFINED or len(record.data) > _LONGEST:
            left -= len(record.data)
            if left < 0:
                yield Unproven(where, f"it is no text, and such records have more than {MOST_RECORD} bytes")


def _is_text(record: Vlr) -> bool:
    try:
        text = record.data.rstrip(b"\0").decode()
    except UnicodeDecodeError:
        return False
    return record.user == TILE_KEY or all(letter.isprintable() or letter in "\t\r\n" for letter in text)
