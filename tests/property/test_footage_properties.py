"""Proofs that data shows no picture, on whatever bytes: they never die of any, and find a picture wherever it begins."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.recordings import STORE, T0, cloud, definition, fix, imu, picture
from tiles.footage import signatures
from tiles.footage.clouds import CloudProof, of_sweep
from tiles.footage.definitions import known_forms, types_of
from tiles.footage.messages import Held, Walk, WrongMessage
from tiles.footage.recording import RecordingProof
from tiles.footage.shapes import is_shape
from tiles.footage.text import TextProof, of_document

JPEG = picture(32)
MESSAGES = {
    "sensor_msgs/msg/Imu": imu(T0),
    "sensor_msgs/msg/NavSatFix": fix(T0),
    "sensor_msgs/msg/PointCloud2": cloud([("x", 0, 7, 1), ("y", 4, 7, 1), ("z", 8, 7, 1)], np.zeros(120, np.uint8), 12),
}


def walked(name: str, body: bytes) -> Held:
    types, why = types_of(name, definition(name)[2], ros1=False)
    assert why is None
    held = Held()
    Walk(name, types, held).take(memoryview(body), "cdr")
    for sweep in held.sweeps:
        of_sweep(sweep, CloudProof())
    return held


@given(st.binary(max_size=4000))
def test_any_bytes_are_looked_at_without_an_error(body: bytes) -> None:
    signatures.found_in(body)
    is_shape(body)
    of_document(body)


@given(st.text(max_size=2000))
def test_any_text_is_looked_at_without_an_error(text: str) -> None:
    TextProof().doubt(text)


@given(st.binary(max_size=3000), st.binary(max_size=100))
def test_a_picture_is_found_wherever_it_begins(before: bytes, behind: bytes) -> None:
    assert signatures.found_in(before + JPEG + behind) is not None


@pytest.mark.parametrize("name", MESSAGES)
@given(data=st.data())
def test_a_message_is_of_its_type_to_the_last_byte_or_is_refused(name: str, data: st.DataObject) -> None:
    body = bytearray(MESSAGES[name])
    for _ in range(data.draw(st.integers(0, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(body)))
    try:
        walked(name, bytes(body[:cut]) + data.draw(st.binary(max_size=20)))
    except WrongMessage:
        return


@pytest.mark.parametrize("name", MESSAGES)
@given(more=st.binary(min_size=4, max_size=4000))
def test_nothing_fits_behind_a_message(name: str, more: bytes) -> None:
    with pytest.raises(WrongMessage):
        walked(name, MESSAGES[name] + more)


@settings(max_examples=25)
@given(size=st.integers(24, 400), data=st.data())
def test_a_picture_in_pieces_behind_messages_is_doubted(size: int, data: st.DataObject) -> None:
    proof, name = RecordingProof(), "sensor_msgs/msg/Imu"
    proof.channel(0, "/imu", "cdr", definition(name), {})
    for at in range(0, len(JPEG), size):
        proof.message(0, memoryview(imu(T0) + JPEG[at : at + size]))
    assert proof.doubts()


@given(st.lists(st.floats(-1e6, 1e6), min_size=9, max_size=9))
def test_whatever_an_inertial_sensor_measures_is_proven(nine: list[float]) -> None:
    proof, name = RecordingProof(), "sensor_msgs/msg/Imu"
    proof.channel(0, "/imu", "cdr", definition(name), {})
    proof.message(0, memoryview(imu(T0, np.array(nine))))
    assert proof.doubts() == []


def test_every_listed_type_of_each_release_agrees_with_its_own_definition() -> None:
    for name in STORE.fielddefs:
        if known_forms(name) and any(STORE.fielddefs[name][1]):
            types, why = types_of(name, STORE.generate_msgdef(name)[0].encode(), ros1=False)
            assert types or "rcl_interfaces/msg/ParameterType" in name or "StatisticDataType" in name, (name, why)


@given(st.integers(0, 2**32 - 1))
def test_a_sweep_of_no_points_costs_nothing_whatever_it_claims(step: int) -> None:
    body = bytearray(cloud([], np.zeros(0, np.uint8), 1))
    at = body.index(struct.pack("<I", 1), 28)
    body[at : at + 4] = struct.pack("<I", step)
    try:
        walked("sensor_msgs/msg/PointCloud2", bytes(body))
    except WrongMessage:
        return
