"""Pictures out of recordings and photos, for previews: decoded in the cage, upright, and no larger than is needed."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from ingest.previews.blur import Picture
from tiles.frames import ros_types

_PILLOW = {"jpeg": ("JPEG",), "png": ("PNG",)}  # Pillow opens a JPEG of several pictures (MPO) as JPEG, and has no name to ask for
_RAW = {"rgb8": ("RGB", 3), "bgr8": ("BGR", 3), "rgba8": ("RGBA", 4), "bgra8": ("BGRA", 4), "mono8": ("L", 1), "8uc3": ("BGR", 3)}
"""Encodings of sensor_msgs/Image that are shown -> order of channels and bytes a pixel."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture as it was recorded: `form` is jpeg, png, one of `_RAW` with its size, or the reason why it cannot be shown."""

    form: str
    body: bytes = b""
    width: int = 0
    height: int = 0
    step: int = 0


def from_message(data: bytes, schema: str, encoding: str) -> Shot:
    """The picture in a ROS message (CDR of ROS 2, or ROS 1)."""
    word = ros_types.last_word(schema)
    if encoding not in ("cdr", "ros1") or word not in ("CompressedImage", "Image"):
        return Shot(f"messages of {schema[:60]} are not decoded here")
    try:
        fields = _Fields(data, encoding)
        fields.header()
        if word == "CompressedImage":
            form, body = fields.text().lower(), fields.bytes()
            kind = "png" if body.startswith(b"\x89PNG") else "jpeg" if body.startswith(b"\xff\xd8\xff") else f"the format {form[:40]!r}"
            return Shot(kind, body)
        height, width = fields.number(), fields.number()
        form = fields.text().lower()
        fields.skip(1)
        step = fields.number()
        return Shot(form if form in _RAW else f"the encoding {form[:40]!r} is not decoded here", fields.bytes(), width, height, step)
    except (struct.error, ValueError, UnicodeDecodeError):
        return Shot("the message is damaged")


def size_of(shot: Shot) -> list[int] | None:
    """Width and height as recorded; None when unknown."""
    if shot.form in _RAW:
        return [shot.width, shot.height]
    if shot.form not in _PILLOW:
        return None
    from PIL import Image

    try:
        with Image.open(io.BytesIO(shot.body), formats=_PILLOW[shot.form]) as image:
            return [image.width, image.height]
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def decode(shot: Shot, width: int) -> Picture | str:
    """The picture, upright, at most `width` pixels wide; or why it cannot be shown."""
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = 64_000_000
    try:
        image: Any
        if shot.form in _RAW:
            image = _raw(shot)
        elif shot.form in _PILLOW:
            image = Image.open(io.BytesIO(shot.body), formats=_PILLOW[shot.form])
            image.draft("RGB", (2 * width, 2 * width))
            image = ImageOps.exif_transpose(image).convert("RGB")
        else:
            return shot.form
    except (OSError, SyntaxError, ValueError, KeyError, TypeError, struct.error, Image.DecompressionBombError) as why:
        return f"damaged ({type(why).__name__})"
    if image.width > width:
        image = image.resize((width, max(1, round(image.height * width / image.width))), Image.Resampling.BOX)
    return np.asarray(image.convert("RGB"))


def _raw(shot: Shot) -> Any:
    from PIL import Image

    order, pixel = _RAW[shot.form]
    if not (0 < shot.width <= 16_384 and 0 < shot.height <= 16_384 and shot.step >= shot.width * pixel):
        raise ValueError("size")
    rows = np.frombuffer(shot.body, np.uint8)[: shot.height * shot.step].reshape(shot.height, shot.step)
    pixels = rows[:, : shot.width * pixel].reshape(shot.height, shot.width, pixel)
    if order == "L":
        return Image.fromarray(np.ascontiguousarray(pixels[..., 0]))
    return Image.fromarray(np.ascontiguousarray(pixels[..., [2, 1, 0]] if order.startswith("B") else pixels[..., :3]))


class _Fields:
    """Reads the fields of a message in order: CDR (aligned, from behind four bytes of encapsulation) or ROS 1 (packed)."""

    def __init__(self, data: bytes, encoding: str) -> None:
        self._is_cdr = encoding == "cdr"
        self._order = ">" if self._is_cdr and data[1] in (0, 6) else "<"
        self._data, self._at = (data[4:], 0) if self._is_cdr else (data, 0)

    def number(self) -> int:
        if self._is_cdr:
            self._at = -(-self._at // 4) * 4
        (value,) = struct.unpack_from(self._order + "I", self._data, self._at)
        self._at += 4
        return int(value)

    def skip(self, count: int) -> None:
        self._at += count

    def bytes(self) -> bytes:
        length = self.number()
        if self._at + length > len(self._data):
            raise ValueError("cut")
        self._at += length
        return self._data[self._at - length : self._at]

    def text(self) -> str:
        return self.bytes().rstrip(b"\0").decode()

    def header(self) -> None:
        if not self._is_cdr:
            self.number()  # seq
        self.number()
        self.number()
        self.text()
