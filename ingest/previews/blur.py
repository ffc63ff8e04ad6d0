"""Faces and number plates in a picture, found and made unrecognisable.

Faces by CenterFace (MIT; the build hook brings the file, see `hatch_build.py`), plates by a cascade that OpenCV ships. This is the second
line: the first is that a picture of a preview is at most 320 pixels wide. How well both find is measured in `docs/previews.md`.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tiles import extras
from tiles.errors import ExtraMissing

Picture = npt.NDArray[np.uint8]
"""(height, width, 3) RGB."""
Boxes = npt.NDArray[np.float64]
"""(n, 4) x0, y0, x1, y1 in pixels."""

MODEL = Path(__file__).parents[1] / "models" / "centerface.onnx"
WIDTH = 640
"""Pixels of the width at which is looked; twice that of what is shown."""
FACE_SCORE = 0.2
"""Low on purpose: a blurred tree costs nothing, a missed face does."""
_OUTPUTS = ("537", "538", "539", "540")  # heat, size, offset, landmarks: the names in the file
_MARGIN = 0.25


def why_not() -> str:
    """What is missing here for pictures in previews; "" when nothing is."""
    os.environ.setdefault("OPENCV_OPENCL_RUNTIME", "disabled")
    try:
        with extras.needed():
            import av
            import cv2
    except ExtraMissing as why:
        return why.message.removesuffix(".")
    del av
    if int(cv2.__version__.split(".")[0]) >= 5:
        return "OpenCV 5 has no cascades; install opencv-python-headless < 5"
    if not MODEL.is_file():
        return "the face model is not there (python hatch_build.py fetches it)"
    return ""


class Blur:
    """Finds and blurs; keeps what it has loaded."""

    def __init__(self) -> None:
        import cv2

        cv2.setNumThreads(2)
        self._cv2: Any = cv2
        self._net: Any = None
        self._size = (0, 0)
        self._plates: Any = self._cv2.CascadeClassifier(str(Path(self._cv2.data.haarcascades) / "haarcascade_russian_plate_number.xml"))

    def blurred(self, picture: Picture) -> tuple[Picture, int]:
        """The picture with all faces and plates blurred, and how many there were."""
        boxes = np.concatenate([self.faces(picture), self.plates(picture)])
        made = picture.copy()
        for box in boxes:
            self._hide(made, box)
        return made, len(boxes)

    def faces(self, picture: Picture) -> Boxes:
        """Boxes of faces."""
        tall, wide = picture.shape[:2]
        size = (-(-wide // 32) * 32, -(-tall // 32) * 32)
        if size != self._size:
            # A net that has seen another size finds hundreds of faces where none are (OpenCV 4.14).
            self._net, self._size = self._cv2.dnn.readNetFromONNX(str(MODEL)), size
        self._net.setInput(self._cv2.dnn.blobFromImage(picture, 1.0, size, (0, 0, 0), swapRB=False, crop=False))
        heat, scale, offset, _ = self._net.forward(_OUTPUTS)
        rows, columns = np.nonzero(heat[0, 0] > FACE_SCORE)
        if not len(rows):
            return np.zeros((0, 4))
        score = heat[0, 0, rows, columns].astype(np.float64)
        high, broad = (np.exp(scale[0, k, rows, columns].astype(np.float64)) * 4 for k in (0, 1))
        y = (rows + offset[0, 0, rows, columns] + 0.5) * 4
        x = (columns + offset[0, 1, rows, columns] + 0.5) * 4
        boxes = np.stack([x - broad / 2, y - high / 2, x + broad / 2, y + high / 2], axis=1)
        boxes *= np.array([wide / size[0], tall / size[1]] * 2)
        return boxes[_distinct(boxes, score)]

    def plates(self, picture: Picture) -> Boxes:
        """Boxes of number plates."""
        grey = self._cv2.equalizeHist(self._cv2.cvtColor(picture, self._cv2.COLOR_RGB2GRAY))
        found = self._plates.detectMultiScale(grey, scaleFactor=1.05, minNeighbors=3, minSize=(24, 8))
        boxes = np.array(found, np.float64).reshape(-1, 4)
        return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)

    def _hide(self, picture: Picture, box: npt.NDArray[np.float64]) -> None:
        """Replace a box, and a quarter around it, by four by four blocks: nothing of it can be computed back."""
        tall, wide = picture.shape[:2]
        (x0, y0, x1, y1), w, h = box, box[2] - box[0], box[3] - box[1]
        left, right = max(0, int(x0 - _MARGIN * w)), min(wide, int(np.ceil(x1 + _MARGIN * w)))
        top, bottom = max(0, int(y0 - _MARGIN * h)), min(tall, int(np.ceil(y1 + _MARGIN * h)))
        if right - left < 1 or bottom - top < 1:
            return
        part = picture[top:bottom, left:right]
        few = self._cv2.resize(part, (min(4, right - left), min(4, bottom - top)), interpolation=self._cv2.INTER_AREA)
        picture[top:bottom, left:right] = self._cv2.resize(few, (right - left, bottom - top), interpolation=self._cv2.INTER_NEAREST)


def _distinct(boxes: Boxes, score: npt.NDArray[np.float64], overlap: float = 0.3) -> list[int]:
    """Indices of the best boxes of which no two overlap by more."""
    kept: list[int] = []
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for i in np.argsort(-score, kind="stable").tolist():
        low = np.maximum(boxes[i, :2], boxes[kept, :2])
        high = np.minimum(boxes[i, 2:], boxes[kept, 2:])
        common = np.clip(high - low, 0, None).prod(axis=1)
        if not (common / (area[i] + area[kept] - common) > overlap).any():
            kept.append(i)
    return kept


@cache
def blur() -> Blur:
    """The one of this process."""
    return Blur()
