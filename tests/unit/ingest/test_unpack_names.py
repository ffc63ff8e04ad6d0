"""Names in zip archives: bytes without a mark are read in one encoding for the whole archive."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from ingest.tasks.unpack import unpack
from mapex.errors import Invalid


def packed(names: Sequence[bytes], *, marked: bool = False, beside: bytes = b"") -> bytes:
    """A zip of files with these names, byte by byte; `marked` as UTF-8; `beside` is a name in UTF-8 for each in its extra field."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number, name in enumerate(names):
            entry = zipfile.ZipInfo(f"{number:02}".ljust(len(name), "x"))
            if beside:
                entry.extra = struct.pack("<HHBI", 0x7075, 5 + len(beside), 1, zlib.crc32(name)) + beside
            archive.writestr(entry, b"%d" % number)
    body = bytearray(out.getvalue())
    for number, name in enumerate(names):
        body = body.replace(f"{number:02}".ljust(len(name), "x").encode(), name)
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)) if marked else ():
        place = -1
        while (place := body.find(signature, place + 1)) >= 0:
            struct.pack_into("<H", body, place + at, 0x800)
    return bytes(body)


def names_of(tmp_path: Path, body: bytes) -> set[str]:
    (tmp_path / "a.zip").write_bytes(body)
    folder = tmp_path / "out"
    return {path.relative_to(folder).as_posix() for path in unpack(tmp_path / "a.zip", "a.zip", folder).files}


@pytest.mark.parametrize("codec", ["utf-8", "cp949"])
def test_names_are_in_one_encoding(tmp_path: Path, codec: str) -> None:
    names = ["판교/도로.shp", "판교/도로.dbf", "a.txt"]
    assert names_of(tmp_path, packed([name.encode(codec) for name in names])) == set(names)


@pytest.mark.parametrize("codec", ["utf-8", "cp949"])
def test_one_broken_name_changes_no_other(tmp_path: Path, codec: str) -> None:
    names = [b"\xff\xff.prj", *(name.encode(codec) for name in ("판교/도로.shp", "판교/도로.dbf"))]
    assert names_of(tmp_path, packed(names)) == {"__.prj", "판교/도로.shp", "판교/도로.dbf"}


def test_names_of_old_dos_stay_as_they_are(tmp_path: Path) -> None:
    assert names_of(tmp_path, packed([b"a.txt", "Ä~.txt".encode("cp437")])) == {"a.txt", "Ä_.txt"}


def test_a_name_beside_the_name_wins(tmp_path: Path) -> None:
    names_of(tmp_path, packed([b"___.shp"], beside="판교로.shp".encode()))
    assert (tmp_path / "out" / "판교로.shp").is_file()


def test_a_name_that_lies_about_utf8_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="Pack it again"):
        names_of(tmp_path, packed(["판교로.shp".encode("cp949")], marked=True))


def test_two_files_of_one_name_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="two files of the same name"):
        names_of(tmp_path, packed([b"a/b.shp", b"./a//b.shp"]))


def test_names_that_only_differ_in_what_no_disk_takes_stay_two_files(tmp_path: Path) -> None:
    assert len(names_of(tmp_path, packed([b"a?b.shp", b"a*b.shp"]))) == 2


def test_an_archive_without_files_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="holds no file"):
        names_of(tmp_path, packed([]))
