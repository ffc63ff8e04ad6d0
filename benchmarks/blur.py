"""How well previews hide faces and plates, on a small labelled sample; prints the table of `docs/previews.md`.

Wants scikit-image beside the extra `preview` (`pip install scikit-image`): its pictures are used for this measurement only.

* faces: 30 faces of 25 x 25 pixels (scikit-image's subset of LFW), each scaled to a width and pasted into a picture of grass 640 wide; and
  the portrait of an astronaut, scaled.
* no faces: 30 cut-outs of the same set that show none, pasted the same way, and pictures of a cat, coffee, a rocket, bricks, gravel.
* plates: drawn (white, seven characters, a dark frame, on the picture of gravel); no photographed Korean plate was at hand.

A face or plate counts as hidden when at least 80 % of its box is covered by what is blurred.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from ingest.previews.blur import WIDTH, Blur, Boxes, Picture, why_not

FACE_WIDTHS = (14, 20, 28, 40, 60)
SAMPLE = 30
PLATE_WIDTHS = (24, 32, 40, 60, 90, 120)


def main() -> int:
    if missing := why_not():
        print(missing, file=sys.stderr)
        return 2
    from PIL import Image
    from skimage import data

    blur = Blur()
    patches = np.asarray(data.lfw_subset())
    grass = _fit(np.asarray(Image.fromarray(data.grass()).convert("RGB")), 360)
    gravel = _fit(np.asarray(Image.fromarray(data.gravel()).convert("RGB")), 360)
    print(f"width of a face   hidden of {SAMPLE}   false of {SAMPLE}")
    for width in FACE_WIDTHS:
        hidden = sum(_covers(blur.faces(_with(grass, patch, width)), _box(width)) for patch in patches[:SAMPLE])
        false = sum(len(blur.faces(_with(grass, patch, width))) > 0 for patch in patches[-SAMPLE:])
        print(f"{width:5d} px (at 320: {width // 2:3d})  {hidden:8d}  {false:12d}")
    portrait = data.astronaut()
    for width in (640, 320, 160, 80):
        found = blur.faces(np.asarray(Image.fromarray(portrait).resize((width, width))))
        print(f"astronaut {width} px wide (face {width * 95 // 512} px): {len(found)} found")
    print("width of a plate  hidden of 40")
    random = np.random.default_rng(5)
    for width in PLATE_WIDTHS:
        hidden = 0
        for number in range(40):
            x, y = int(random.integers(20, WIDTH - width - 20)), int(random.integers(20, 320 - width // 4))
            picture = gravel.copy()
            plate = _plate(number, width)
            picture[y : y + plate.shape[0], x : x + width] = plate
            hidden += _covers(blur.plates(picture), np.array([x, y, x + width, y + plate.shape[0]], float))
        print(f"{width:5d} px (at 320: {width // 2:3d})  {hidden:8d}")
    for name in ("chelsea", "coffee", "rocket", "brick", "gravel", "grass"):
        picture = _fit(np.asarray(Image.fromarray(getattr(data, name)()).convert("RGB")))
        print(f"{name}: {len(blur.faces(picture))} false faces, {len(blur.plates(picture))} false plates")
    started = time.perf_counter()
    for _ in range(10):
        blur.blurred(grass)
    print(f"{(time.perf_counter() - started) / 10:.3f} s a picture of {WIDTH} x {grass.shape[0]}")
    return 0


def _fit(picture: Picture, tall: int = 0) -> Picture:
    from PIL import Image

    height = tall or round(picture.shape[0] * WIDTH / picture.shape[1])
    return np.asarray(Image.fromarray(picture).resize((WIDTH, height)))


def _box(width: int) -> Boxes:
    return np.array([280.0, 140.0, 280.0 + width, 140.0 + width])


def _with(ground: Picture, patch: np.ndarray, width: int) -> Picture:
    from PIL import Image

    scaled = Image.fromarray((patch * 255).astype(np.uint8)).convert("RGB").resize((width, width), Image.Resampling.BICUBIC)
    made = ground.copy()
    made[140 : 140 + width, 280 : 280 + width] = np.asarray(scaled)
    return made


def _plate(number: int, width: int) -> Picture:
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (260, 56), (245, 245, 245))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 259, 55), outline=(30, 30, 30), width=3)
    digits = np.random.default_rng(number).integers(0, 10, 7)
    draw.text((16, 4), "".join(map(str, digits[:3])) + " " + "".join(map(str, digits[3:])), (20, 20, 20), ImageFont.load_default(42))
    return np.asarray(image.resize((width, max(5, width * 56 // 260)), Image.Resampling.BOX))


def _covers(boxes: Boxes, wanted: Boxes, margin: float = 0.25) -> bool:
    """Whether the blurred boxes (a quarter larger on each side) cover four fifths of a face or plate."""
    mask = np.zeros((400, WIDTH), bool)
    for x0, y0, x1, y1 in boxes:
        w, h = x1 - x0, y1 - y0
        mask[max(0, int(y0 - margin * h)) : int(y1 + margin * h) + 1, max(0, int(x0 - margin * w)) : int(x1 + margin * w) + 1] = True
    x0, y0, x1, y1 = wanted.astype(int)
    # The patches of the set are a little wider than the face: the inner part counts.
    dx, dy = (x1 - x0) // 8, (y1 - y0) // 8
    return bool(mask[y0 + dy : y1 - dy, x0 + dx : x1 - dx].mean() >= 0.8)


if __name__ == "__main__":
    sys.exit(main())
