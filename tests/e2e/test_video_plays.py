"""A tile of video in a browser: it plays to its end, and each second shows the frames that belong there, packed anew or not."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from ingest.tasks.convert import convert
from mapex.intake.placement import Placement
from tests.support import videos
from tests.support.browser import WAIT_MS

PLAY = """async () => {
  const video = document.querySelector("video");
  const ended = new Promise((done, failed) => {
    video.onended = done;
    video.onerror = () => failed(new Error(video.error.message));
  });
  video.playbackRate = 4;
  await video.play();
  await ended;
  const { totalVideoFrames, droppedVideoFrames } = video.getVideoPlaybackQuality();
  return { seconds: video.duration, frames: totalVideoFrames, dropped: droppedVideoFrames };
}"""
SHOWN = """async (seconds) => {
  const video = document.querySelector("video");
  const there = new Promise((done) => (video.onseeked = done));
  video.currentTime = seconds;
  await there;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0);
  const { data } = context.getImageData(0, canvas.height / 2, canvas.width, 1);
  return [...Array(12).keys()].reduce((sum, bit) => sum + ((data[(bit * 8 + 4) * 4] > 130) << bit), 0);
}"""


@pytest.mark.e2e
def test_tiles_of_video_play_to_their_end(chromium: Browser, tmp_path: Path) -> None:
    film = videos.gopro(tmp_path / "drive.mp4", 18, between=2)
    lines: list[Any] = []
    asked = {"do": "convert", "reads": [str(film)], "writes": str(tmp_path / "out"), "sources": [{"part": 0, "name": film.name}], "step": 1}
    (tmp_path / "out").mkdir()
    convert({**asked, "placement": Placement().as_json()}, lines.append)
    tiles = [line["tile"] for line in lines if "tile" in line]
    assert len(tiles) == 2
    page = chromium.new_page()
    for tile in tiles:
        body = base64.b64encode((tmp_path / "out" / tile["path"]).read_bytes()).decode()
        page.set_content(f'<!doctype html><video src="data:video/mp4;base64,{body}" muted width="96" height="64"></video>')
        page.wait_for_function("document.querySelector('video').readyState >= 2", timeout=WAIT_MS)
        frames = tile["quantities"]["frames"]
        first = 0 if tile is tiles[0] else tiles[0]["quantities"]["frames"]
        for number in (0, 1, frames // 2, frames - 1):
            assert page.evaluate(SHOWN, (number + 0.5) / 30) == first + number
        page.evaluate("document.querySelector('video').currentTime = 0")
        played = page.evaluate(PLAY)
        assert played["seconds"] == pytest.approx(frames / 30, abs=0.05)
        assert played["frames"] >= frames * 0.9
    page.close()
