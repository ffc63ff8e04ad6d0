"""Previews of a version, seen from outside: the cage that makes them of the verified tiles, and the check of its answer.

A preview that cannot be made, or is not what it should be, is a finding of severity info; it never stops an upload.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.cage import faults, launch
from ingest.cage.child import MIB, Limits
from ingest.cage.paths import open_plain
from ingest.conversion import preview_forms
from ingest.findings import info
from mapex.catalogue.draft import DraftPreview
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid

log = logging.getLogger(__name__)

LIMITS = Limits(memory=4096 * MIB, cpu_s=150, wall_s=240, file=32 * MIB, output=512 * MIB)
MOST_PREVIEWS = 500
"""Previews of one version."""

_CODE = re.compile(r"preview\.[a-z_]{1,40}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_FIX = "Nothing: the data is sold without it."


@dataclass(frozen=True, slots=True)
class Wish:
    """A layer of which previews are to be made; see `ingest.previews.make.LayerTiles`."""

    name: str
    kind: str
    content: str
    pictures: bool


@dataclass(slots=True)
class Previews:
    """What was made, with the file of each (None: all of it is in `about`), and what could not be made."""

    made: list[tuple[DraftPreview, Path | None]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def make(parts: Path, out: Path, wishes: Sequence[Wish], *, stop: Callable[[], bool], cage: str = "auto") -> Previews:
    """Make the previews of some layers.

    Args:
        parts: folder that holds `<n>/done/records.jsonl` and `<n>/done/tiles` of each source.
        out: empty folder that the previews are left in.
        wishes: the layers.
        stop: asked a few times a second; True ends it.
        cage: as the setting.
    """
    answers = _PreviewAnswers(out, {wish.name for wish in wishes})
    request = {"layers": [{"name": w.name, "kind": w.kind, "content": w.content, "pictures": w.pictures} for w in wishes]}
    ending = launch.run("preview", request, reads=parts, writes=out, limits=LIMITS, on_line=answers.take, stop=stop, choice=cage)
    if not ending.done and not ending.stopped:
        log.warning("caged previews: %s", ending.stderr[-2000:])
        why = faults.finding_of(ending, "the tiles", LIMITS).message
        answers.found.findings.append(info("preview.failed", f"Some previews could not be made: {why}", _FIX))
    return answers.found


@dataclass(slots=True)
class _PreviewAnswers:
    """Takes the lines of the child in and believes none of them: each is checked, and a bad one is a finding."""

    out: Path
    layers: set[str]
    found: Previews = field(default_factory=Previews)
    seen: set[tuple[str, str, int]] = field(default_factory=set)

    def take(self, line: Mapping[str, Any]) -> None:
        if len(self.seen) + len(self.found.findings) >= MOST_PREVIEWS:
            return
        try:
            if isinstance(line.get("preview"), dict):
                self._made(line["preview"])
            elif isinstance(line.get("without"), dict):
                self._without(line["without"])
        except Invalid as why:
            self.found.findings.append(info(why.code, why.message, _FIX))

    def _made(self, record: Mapping[str, Any]) -> None:
        layer, kind, ordinal = record.get("layer"), record.get("kind"), record.get("ordinal")
        if str(layer) not in self.layers or str(kind) not in preview_forms.FORMS or type(ordinal) is not int:
            raise preview_forms.refusal("what it is")
        form = preview_forms.FORMS[str(kind)]
        about = record.get("about")
        key = (str(layer), str(kind), ordinal)
        if key in self.seen or not 0 <= ordinal < form.most or not isinstance(about, dict) or not _is_plain(about, 3):
            raise preview_forms.refusal("its description")
        self.seen.add(key)
        if not form.media_type:
            preview_forms.check_about(key[1], about)
            self.found.made.append((DraftPreview(*key, "", 0, "application/json", about), None))
            return
        path, body = self._file(record.get("path"), form.most_bytes)
        preview_forms.check(key[1], body, about)
        digest = hashlib.sha256(body).hexdigest()
        self.found.made.append((DraftPreview(*key, digest, len(body), form.media_type, about), path))

    def _file(self, name: object, most: int) -> tuple[Path, bytes]:
        """A plain file of the child's folder, read once; what is checked is what is stored."""
        folder, _, file = str(name).partition("/")
        if folder not in self.layers or not re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,40}", file):
            raise preview_forms.refusal("its path")
        try:
            stream = open_plain(self.out, folder, file)
        except OSError as why:
            raise preview_forms.refusal("its file") from why
        with stream:
            if not 0 < os.fstat(stream.fileno()).st_size <= most:
                raise preview_forms.refusal("its file")
            body = stream.read(most + 1)
        return self.out / folder / file, body

    def _without(self, record: Mapping[str, Any]) -> None:
        layer, code, message = record.get("layer"), str(record.get("code")), str(record.get("message"))[:500]
        if str(layer) not in self.layers or not _CODE.fullmatch(code):
            raise preview_forms.refusal("a reason")
        text = message.encode("utf-8", "replace").decode().replace("\x00", "")
        self.found.findings.append(info(code, text, _FIX, layer=str(layer)))


def _is_plain(value: object, depth: int) -> bool:
    """Whether a value is JSON of a modest size: what is stored and shown as `about`."""
    if isinstance(value, dict):
        named = len(value) <= 40 and all(isinstance(key, str) and _NAME.fullmatch(key) for key in value)
        return depth > 0 and named and all(_is_plain(inner, depth - 1) for inner in value.values())
    if isinstance(value, list):
        return depth > 0 and len(value) <= 40 and all(_is_plain(inner, depth - 1) for inner in value)
    if isinstance(value, str):
        return len(value) <= 120 and value.isprintable()
    return value is None or isinstance(value, bool) or (isinstance(value, int | float) and abs(value) < 2**53)


def cleared(folder: Path) -> Path:
    """An empty folder for previews."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
