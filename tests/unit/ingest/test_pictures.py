"""Pictures for previews: what cannot be opened costs itself only, and the trajectory of an archive is none."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ingest.previews.frames import _of_archive
from ingest.previews.make import Stored
from ingest.previews.pictures import Shot, decode, size_of
from tiles.frames.photo_tar import TRAJECTORIES


def a_jpeg(*more: Image.Image) -> bytes:
    stream = io.BytesIO()
    several: dict[str, Any] = {"save_all": True, "append_images": list(more)} if more else {}
    Image.new("RGB", (64, 48), (90, 120, 150)).save(stream, "MPO" if more else "JPEG", **several)
    return stream.getvalue()


@pytest.mark.parametrize("body", [b"", b'{"type":"FeatureCollection"}', b"\xff\xd8\xff", a_jpeg()[:40]])
def test_a_damaged_picture_has_no_size_and_a_reason(body: bytes) -> None:
    assert size_of(Shot("jpeg", body)) is None
    assert "damaged" in decode(Shot("jpeg", body), 64)


@pytest.mark.parametrize("body", [a_jpeg(), a_jpeg(Image.new("RGB", (64, 48)))])
def test_a_jpeg_of_one_picture_or_several_is_opened(body: bytes) -> None:
    assert size_of(Shot("jpeg", body)) == [64, 48]
    picture = decode(Shot("jpeg", body), 32)
    assert not isinstance(picture, str) and picture.shape == (24, 32, 3)


@pytest.mark.parametrize("first", TRAJECTORIES)
def test_the_trajectory_of_an_archive_is_no_picture_under_its_old_and_its_new_name(first: str, tmp_path: Path) -> None:
    path = tmp_path / "tile.tar"
    with tarfile.open(path, "w") as archive:
        for name, body in ((first, b"{}"), ("a.jpg", b"A"), ("b.jpg", b"B")):
            entry = tarfile.TarInfo(name)
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))
    stored: Any = Stored(None, path)  # type: ignore[arg-type]
    assert [(number, shot.body) for number, shot in _of_archive(stored, 5, {5, 6})] == [(5, b"A"), (6, b"B")]
