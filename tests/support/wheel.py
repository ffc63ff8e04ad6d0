"""The wheel of the working tree, and virtual environments that hold it and what it requires, and nothing else.

What it requires is taken from the environment of the tests, where set-up has installed it as locked: the distributions that the wheel's
metadata asks for, and what these ask for, file by file, as links. So nothing is fetched, and an environment is made in a second.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from email.parser import HeaderParser
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]


def build(folder: Path) -> Path:
    """The wheel, by hatchling as it is declared, without an environment of its own: that would be fetched."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT, check=True, capture_output=True
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment with the wheel, and how its commands run: outside of the checkout, with nothing of this process's settings."""

    folder: Path

    @property
    def site(self) -> Path:
        """Where its packages are."""
        return next((self.folder / "lib").glob("python*/site-packages"))

    def run(
        self, *words: str | Path, settings: Mapping[str, str] | None = None, where: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """`mapex WORDS`, whatever comes of it."""
        return self.start([self.folder / "bin" / "mapex", *words], settings=settings, where=where)

    def python(self, *words: str | Path, where: Path | None = None) -> subprocess.CompletedProcess[str]:
        """`python WORDS`."""
        return self.start([self.folder / "bin" / "python", *words], where=where)

    def start(
        self, command: Sequence[str | Path], settings: Mapping[str, str] | None = None, where: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Any command, in a folder beside the environment unless another is named."""
        home = self.folder.parent / f"{self.folder.name}-home"
        home.mkdir(exist_ok=True)
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("MAPEX_", "PYTHON", "VIRTUAL_ENV"))}
        environ |= {"HOME": str(home), "XDG_STATE_HOME": str(home), **(settings or {})}
        words = [str(word) for word in command]
        return subprocess.run(words, cwd=where or home, env=environ, capture_output=True, text=True, timeout=300, check=False)


def environment(folder: Path, wheel: Path, extras: Sequence[str] = ()) -> Environment:
    """A new environment in which `pip install WHEEL[EXTRAS]` was done."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    made = Environment(folder)
    for one in _required(_requirements(wheel), ("", *extras)):
        _link(one, made.site)
    install(made, wheel)
    return made


def install(made: Environment, wheel: Path) -> None:
    """`pip install WHEEL`, without what it requires."""
    _pip(made, "install", "--no-deps", "--no-index", "--offline", "--compile-bytecode", str(wheel))


def uninstall(made: Environment, name: str) -> None:
    """`pip uninstall NAME`."""
    _pip(made, "uninstall", name)


def _pip(made: Environment, do: str, *words: str) -> None:
    uv = Path(sys.executable).with_name("uv")  # pip would have to be in the environment, or look for a newer one of itself
    subprocess.run([str(uv), "pip", do, "-q", "--python", str(made.folder / "bin" / "python"), *words], check=True)


def _requirements(wheel: Path) -> list[Requirement]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        head = HeaderParser().parsestr(archive.read(name).decode())
    return [Requirement(line) for line in head.get_all("Requires-Dist", [])]


def _required(requirements: Iterable[Requirement], extras: Iterable[str]) -> list[Distribution]:
    """The installed distributions that requirements ask for, themselves or through others. A missing one is an error."""
    found: dict[tuple[str, str], Distribution] = {}
    waiting = [(one, extra) for one in requirements for extra in extras]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        one = distribution(requirement.name)
        for wanted in ("", *requirement.extras):
            if (one.name, wanted) not in found:
                found[one.name, wanted] = one
                waiting += [(Requirement(line), wanted) for line in one.requires or ()]
    return list({one.name: one for one in found.values()}.values())


def _link(one: Distribution, site: Path) -> None:
    """The files of a distribution, and what was compiled of them: a caged reader cannot keep what it compiles."""
    for file in one.files or ():
        source = Path(str(one.locate_file(file)))
        if ".." in file.parts or not source.is_file():
            continue
        _link_file(source, site / file)
        if source.suffix == ".py":
            compiled = Path(importlib.util.cache_from_source(str(source)))
            if compiled.is_file():
                _link_file(compiled, site / file.parent / "__pycache__" / compiled.name)


def _link_file(source: Path, target: Path) -> None:
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:  # another disk
        shutil.copy2(source, target)
