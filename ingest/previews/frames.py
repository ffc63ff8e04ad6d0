"""The preview of recordings and photos: what was recorded, and, where the class may show it, a blurred strip of pictures and a clip."""

from __future__ import annotations

import math
import tarfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ingest.previews import blur
from ingest.previews import clip as clips
from ingest.previews.blur import Picture
from ingest.previews.film import Clip
from ingest.previews.make import LayerTiles, Made, Stored, Without
from ingest.previews.pictures import Shot, decode, from_message, size_of
from tiles import extras
from tiles.batch import LayerKind
from tiles.frames import ros_types
from tiles.frames.photo_tar import TRAJECTORIES

if TYPE_CHECKING:
    from mcap.records import Channel, Statistics

STRIP = 12
MOST_TOPICS = 40
Shots = Iterator[tuple[int, Shot]]


@dataclass(slots=True)
class _Topic:
    """A topic of all slices together."""

    type: str
    count: int = 0
    in_slice: Counter[Path] = field(default_factory=Counter)


def make(layer: LayerTiles, out: Path) -> Iterator[Made | Without]:
    """Facts first; then pictures, if the seller asked for a class that may show them."""
    if layer.kind == LayerKind.PHOTOS:
        yield from _photos(layer, out)
    elif layer.kind == LayerKind.VIDEO:
        yield from _video(layer, out)
    else:
        yield from _recording(layer, out)


# ---- recordings -------------------------------------------------------------------------------------------------------------------


def _recording(layer: LayerTiles, out: Path) -> Iterator[Made | Without]:
    topics: dict[str, _Topic] = {}
    begins: dict[Path, int] = {}
    last = 0
    for stored in layer.tiles:
        statistics, channels, again = _summary(stored.path)
        begins[stored.path] = statistics.message_start_time
        last = max(last, statistics.message_end_time)
        for channel, kind in channels:
            topic = topics.setdefault(channel.topic, _Topic(kind))
            count = statistics.channel_message_counts.get(channel.id, 0)
            topic.count += count - again.pop(channel.topic, 0)
            topic.in_slice[stored.path] += count
    seconds = max(0.0, (last - min((ns for ns in begins.values() if ns), default=last)) / 1e9)
    cameras = sorted((name for name, topic in topics.items() if ros_types.is_picture(topic.type)), key=lambda n: (-topics[n].count, n))
    camera = next((name for name in cameras if topics[name].count), None)
    order = sorted(begins, key=lambda path: (begins[path], path.name))

    def shots(wanted: Sequence[int]) -> Shots:
        assert camera is not None  # noqa: S101 - asked only then
        yield from _messages(order, camera, topics[camera], wanted)

    total = topics[camera].count if camera is not None else 0
    size = next((size_of(shot) for _, shot in shots([total // 2])), None) if camera is not None else None
    yield Made("facts", {"seconds": round(seconds, 1), "topics": _listed(topics, seconds), "pictures": total, "resolution": size})
    if camera is not None and layer.pictures:
        speed = total / seconds if seconds else PER_SECOND
        yield from _pictures(total, max(1, round(speed / PER_SECOND)), shots, out, speed)


PER_SECOND = clips.PER_SECOND


def _summary(path: Path) -> tuple[Statistics, list[tuple[Channel, str]], dict[str, int]]:
    """Statistics of a slice, its channels with their types, and how many messages of a topic are only repeated in it."""
    with extras.needed():
        from mcap.reader import SeekingReader

        from tiles.frames.mcap_scan import CHUNK_LIMIT
        from tiles.frames.mcap_slice import repeats
        from tiles.frames.repeated import MESSAGES
    with path.open("rb") as stream:
        reader = SeekingReader(stream, record_size_limit=CHUNK_LIMIT)
        summary = reader.get_summary()
        again = {name: count for item in reader.iter_metadata() for name, count in repeats(item).items() if item.name == MESSAGES}
    if summary is None or summary.statistics is None:
        raise ValueError(f"{path.name} has no summary")
    names = {number: schema.name for number, schema in summary.schemas.items()}
    return summary.statistics, [(channel, names.get(channel.schema_id, "")) for channel in summary.channels.values()], again


def _listed(topics: dict[str, _Topic], seconds: float) -> list[dict[str, Any]]:
    most = sorted(topics.items(), key=lambda pair: (-pair[1].count, pair[0]))[:MOST_TOPICS]
    return [
        {
            "topic": _plain(name),
            "type": _plain(topic.type),
            "count": topic.count,
            "hz": round(topic.count / seconds, 2) if seconds else None,
        }
        for name, topic in sorted(most)
    ]


def _plain(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())[:100]


def _messages(order: Sequence[Path], camera: str, topic: _Topic, wanted: Sequence[int]) -> Shots:
    """The wanted pictures of a topic, counted over all slices in the order of their beginnings."""
    left = sorted(wanted, reverse=True)
    first = 0
    for path in order:
        count = topic.in_slice[path]
        if left and left[-1] < first + count:
            yield from _of_slice(path, camera, first, left)
        first += count


def _of_slice(path: Path, camera: str, number: int, left: list[int]) -> Shots:
    from mcap.records import Channel

    from tiles.frames.mcap_scan import CHUNK_LIMIT, McapScan, Message

    with path.open("rb") as stream:
        scan = McapScan(stream, record_limit=CHUNK_LIMIT)
        known: dict[int, tuple[str, str]] = {}
        for item in scan.items():
            if isinstance(item, Channel) and item.topic == camera:
                schema = scan.schema_of(item)
                known[item.id] = (schema.name if schema else "", item.message_encoding)
            elif isinstance(item, Message) and item.channel_id in known:
                if left and left[-1] == number:
                    left.pop()
                    yield number, from_message(bytes(item.data), *known[item.channel_id])
                number += 1
                if not left:
                    return


# ---- photos -----------------------------------------------------------------------------------------------------------------------


def _photos(layer: LayerTiles, out: Path) -> Iterator[Made | Without]:
    counts = [(stored, stored.record.quantities.frames) for stored in layer.tiles]
    total = sum(count for _, count in counts)

    def shots(wanted: Sequence[int]) -> Shots:
        first, asked = 0, set(wanted)
        for stored, count in counts:
            if any(first <= number < first + count for number in asked):
                yield from _of_archive(stored, first, asked)
            first += count

    size = next((size_of(shot) for _, shot in shots([0])), None)
    yield Made("facts", {"pictures": total, "resolution": size})
    if layer.pictures:
        yield from _pictures(total, 0, shots, out, 0.0)


def _of_archive(stored: Stored, first: int, asked: set[int]) -> Shots:
    with tarfile.open(stored.path, "r:") as archive:
        for number, entry in enumerate((entry for entry in archive if entry.isreg() and entry.name not in TRAJECTORIES), first):
            body = archive.extractfile(entry) if number in asked else None
            if body is not None:
                yield number, Shot("jpeg", body.read())


# ---- video ------------------------------------------------------------------------------------------------------------------------


def _video(layer: LayerTiles, out: Path) -> Iterator[Made | Without]:
    clips_ = sorted((Clip.of(stored.path) for stored in layer.tiles), key=lambda one: (one.begins_s, one.path.name))
    total = sum(len(one.shown) for one in clips_)
    seconds = sum(stored.record.quantities.ms for stored in layer.tiles) / 1000

    def shots(wanted: Sequence[int]) -> Shots:
        first = 0
        for one in clips_:
            if any(first <= number < first + len(one.shown) for number in wanted):
                yield from one.shots(first, wanted)
            first += len(one.shown)

    size = [clips_[0].track.width, clips_[0].track.height]
    yield Made("facts", {"seconds": round(seconds, 1), "pictures": total, "resolution": size})
    if layer.pictures:
        speed = total / seconds if seconds else PER_SECOND
        yield from _pictures(total, max(1, round(speed / PER_SECOND)), shots, out, speed)


# ---- pictures ---------------------------------------------------------------------------------------------------------------------


def _clip_numbers(total: int, stride: int) -> list[int]:
    """The pictures of the clip: every `stride`-th of a run from the middle of all."""
    number = min(clips.MOST_FRAMES, math.ceil(total / stride))
    begin = (total - (number - 1) * stride - 1) // 2
    return [begin + k * stride for k in range(number)]


def _pictures(total: int, stride: int, shots: Callable[[Sequence[int]], Shots], out: Path, speed: float) -> Iterator[Made | Without]:
    """The strip, one picture in so many of all; and with a stride the clip, a run from the middle."""
    missing = blur.why_not()
    if missing:
        yield Without("preview.no_blur", f"No pictures are shown, because they could not be blurred here: {missing}.")
        return
    strip = sorted(set(np.linspace(0, total - 1, min(STRIP, total)).round().astype(int).tolist()))
    clip = _clip_numbers(total, stride) if stride else []
    made: dict[int, Picture] = {}
    unusable: dict[str, int] = defaultdict(int)
    found = 0
    for number, shot in shots(sorted({*strip, *clip})):
        picture = decode(shot, blur.WIDTH)
        if isinstance(picture, str):
            unusable[picture] += 1
            continue
        hidden, count = blur.blur().blurred(picture)
        found += count
        made[number] = clips.small(hidden)
    for ordinal, number in enumerate(n for n in strip if n in made):
        path = out / f"strip-{ordinal}.jpg"
        clips.write_picture(made[number], path)
        tall, wide = made[number].shape[:2]
        yield Made("strip", {"blurred": True, "width": wide, "height": tall}, path, ordinal)
    run = [made[n] for n in clip if n in made and made[n].shape == made[clip[0] if clip[0] in made else n].shape]
    if len(run) >= PER_SECOND:
        path = out / "clip.mp4"
        clips.write_clip(run, path)
        tall, wide = run[0].shape[:2]
        times = round(PER_SECOND * stride / speed, 1) if speed else 1.0
        yield Made(
            "clip",
            {"blurred": True, "width": wide, "height": tall, "seconds": len(run) / PER_SECOND, "times_faster": times, "hidden": found},
            path,
        )
    for why, count in sorted(unusable.items()):
        yield Without("preview.unreadable", f"{count} pictures could not be shown: {why}.")
