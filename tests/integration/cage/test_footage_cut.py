"""A picture that is cut, so that no piece shows its head: over the tiles of a cloud, over groups of letters, over records of a LAS file."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import laspy
import numpy as np
import pytest

from ingest.conversion.local import tile_file
from mapex.intake.placement import Placement
from tests.support import clouds
from tests.support.recordings import picture
from tiles.footage.letters import is_drawn_evenly
from tiles.footage.text import TextProof

JPEG = picture(side=128)
PACKED = JPEG[1000:]  # without its head, which is found wherever it stands


def is_original(path: Path) -> bool:
    out = path.parent / "out"
    tile_file(path, out, Placement(), processes=1, cage="rlimits", recount=True)
    return "footage.unproven" in (out / "_manifest.json").read_text()


def extra(kind: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        cloud = laspy.read(path)
        cloud.add_extra_dim(laspy.ExtraBytesParams("hidden", kind))
        packed = np.random.default_rng(1).bytes(len(cloud.points) * np.dtype(kind).itemsize)
        cloud["hidden"] = np.frombuffer(packed, kind)
        cloud.write(path)

    return change


def user_data(path: Path) -> None:
    cloud = laspy.read(path)
    cloud.user_data = np.frombuffer(PACKED, np.uint8)
    cloud.write(path)


@pytest.mark.parametrize("change", [user_data, extra("u1"), extra("u4"), extra("u8"), extra("f4"), extra("f8")])
def test_a_column_that_is_cut_over_tiles_is_doubted_as_a_whole(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path = clouds.a_las(tmp_path / "cloud.las", len(PACKED), spread_m=4000.0)  # some hundred points a tile
    cloud = laspy.read(path)
    cloud.user_data = np.arange(len(cloud.points)) % 64
    cloud.write(path)
    assert not is_original(path)
    change(path)
    assert is_original(path)


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


RECORDS = {
    "descriptions": [laspy.VLR("a firm", n, piece.decode("latin-1")) for n, piece in enumerate(pieces(base64.b64encode(PACKED), 32)[:900])],
    "wave packets": [laspy.VLR("LASF_Spec", 100 + n, "", piece) for n, piece in enumerate(pieces(PACKED, 26)[:255])],
    "numbers of a projection": [laspy.VLR("LASF_Projection", 34736, "", PACKED[:9000])],
}


@pytest.mark.parametrize("records", RECORDS)
def test_a_picture_in_what_records_are_called_or_claim_to_be_is_doubted(tmp_path: Path, records: str) -> None:
    path = clouds.a_las(tmp_path / "cloud.las", 500, spread_m=20.0)
    cloud = laspy.read(path)
    cloud.user_data[:] = 1
    cloud.header.vlrs.extend(RECORDS[records])
    cloud.write(path)
    assert is_original(path)


B64 = base64.b64encode(PACKED).decode()
LETTERS = {
    "base32": base64.b32encode(PACKED).decode(),
    "base32 in small letters": base64.b32encode(PACKED).decode().lower(),
    "ASCII85": base64.a85encode(PACKED).decode(),
    "base85": base64.b85encode(PACKED).decode(),
    "base64 in groups": " ".join(B64[at : at + 8] for at in range(0, len(B64), 8)),
    "base64 in lines": "\n".join(B64[at : at + 19] for at in range(0, len(B64), 19)),
    "base64 with dots": ".".join(B64[at : at + 10] for at in range(0, len(B64), 10)),
    "base64 backwards": B64[::-1],
    "hex in groups": PACKED.hex(" ", 4),
    "hex with colons": PACKED.hex(":"),
    "syllables": "".join(chr(0xAC00 + byte) for byte in PACKED),
    "dots for the blind": "".join(chr(0x2800 + byte) for byte in PACKED),
    "signs": "".join(chr(0x1F400 + byte) for byte in PACKED),
    "pairs as ideographs": "".join(chr(0x4E00 + (a << 5 | b >> 3)) for a, b in zip(PACKED[::2], PACKED[1::2], strict=False)),
    "a list of numbers": ",".join(map(str, PACKED)),
}


@pytest.mark.parametrize("letters", LETTERS)
def test_packed_bytes_in_letters_are_doubted_however_they_are_cut(letters: str) -> None:
    assert TextProof().doubt(LETTERS[letters]) is not None


RNG = np.random.default_rng(3)
HONEST = {
    "a line": "LINESTRING (" + ", ".join(f"{127 + x!r} {37 + y!r}" for x, y in RNG.random((400, 2)).tolist()) + ")",
    "numbers": ",".join(map(repr, RNG.random(800).tolist())),
    "whole numbers": ",".join(map(str, RNG.integers(0, 10**9, 800).tolist())),
    "JSON": json.dumps([{"lon": x, "lat": y, "n": 1} for x, y in RNG.random((300, 2)).tolist()]),
    "a table": "시각,값\n" + "".join(f"{n},{n * 7}.25\n" for n in range(3000)),
    "prose": "A road is drawn by its edges, and every edge says what it is made of. " * 60 + "끝.",
    "names": ", ".join(f"{street}로 {number}" for number in range(200) for street in ("세종", "테헤란", "강남대", "올림픽")),
}


@pytest.mark.parametrize("text", HONEST)
def test_language_and_numbers_are_not_doubted(text: str) -> None:
    assert len(HONEST[text]) >= 2048
    assert not is_drawn_evenly(HONEST[text])
    assert TextProof().doubt(HONEST[text]) is None
