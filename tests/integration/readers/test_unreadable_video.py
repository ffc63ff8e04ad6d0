"""A video of which nothing can be read: the refusal names the file, what is wrong with it, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.reader import Source
from ingest.readers.video.film import film_of
from tests.support.videos import gopro
from tiles.errors import InvalidContent

HEAD = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"


@pytest.mark.parametrize(
    ("code", "body"),
    [
        ("video.no_index", HEAD + b"\0\0\0\x10mdat" + bytes(8)),
        ("video.damaged", HEAD + b"\xff" * 64),
        ("video.no_pictures", HEAD + b"\0\0\0\x08moov"),
    ],
    ids=["no index", "no boxes", "no pictures"],
)
def test_a_refused_video_is_named_with_its_fault_and_its_remedy(code: str, body: bytes, tmp_path: Path) -> None:
    path = tmp_path / "drive.mp4"
    path.write_bytes(body)
    with pytest.raises(InvalidContent) as refused:
        film_of(Source.of(path), "video")
    assert refused.value.code == code
    assert refused.value.message.startswith("drive.mp4: ") and refused.value.message.endswith(
        "Copy it from the camera again, or leave it out."
    )


def test_a_cut_camera_file_is_named(tmp_path: Path) -> None:
    path = gopro(tmp_path / "GX010001.mp4", 3)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises(InvalidContent, match=r"^GX010001\.mp4: ") as refused:
        film_of(Source.of(path), "video")
    assert refused.value.code in ("video.no_index", "video.damaged")
