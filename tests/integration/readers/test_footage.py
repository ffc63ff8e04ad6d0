"""What makes data `original`: the bytes decide, whatever a schema, a media type, a column or a name calls them."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mapex.intake.placement import Placement
from tests.support import recordings
from tests.support.reading import report_of
from tests.support.recordings import Recorder, cdr, cloud, definition, imu, picture, recorded

JPEG = picture()
Step = Callable[[Recorder], None]


def message(name: str, data: bytes, schema: bytes | None = None, encoding: str = "cdr") -> Step:
    def step(recorder: Recorder) -> None:
        known = definition(name) if schema is None else (name, "ros2msg", schema)
        recorder.channel("/hidden", known, encoding)
        recorder.add("/hidden", data)

    return step


def attachment(data: bytes, media_type: str = "application/json") -> Step:
    return lambda recorder: recorder.attach("calibration.json", media_type, data)


def texts(*values: str) -> Step:
    def step(recorder: Recorder) -> None:
        recorder.channel("/hidden", definition("std_msgs/msg/String"))
        for value in values:
            recorder.add("/hidden", cdr("std_msgs/msg/String", data=value))

    return step


HIDDEN: dict[str, Step] = {
    "a picture under the name of Imu": message("sensor_msgs/msg/Imu", JPEG),
    "a picture under the name of Imu, with the definition of an image": message(
        "sensor_msgs/msg/Imu", JPEG, b"std_msgs/Header header\nstring format\nuint8[] data\n"
    ),
    "a picture as json": attachment(JPEG),
}


def is_footage(path: Path, placement: Placement | None = None) -> bool:
    return any(layer["footage"] for layer in report_of(path, placement or Placement())["layers"].values())


@pytest.mark.parametrize("hidden", HIDDEN)
def test_a_picture_makes_a_recording_footage_whatever_it_is_called(tmp_path: Path, hidden: str) -> None:
    assert is_footage(recorded(tmp_path / "drive.mcap", HIDDEN[hidden]))
