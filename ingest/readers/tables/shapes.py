"""The shapes of a shapefile as GDAL may open them: in a folder of links, where its table is not and a missing index can be rebuilt."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ingest.readers.tables import shape_text


@contextmanager
def open_shapes(shp: Path) -> Iterator[Path]:
    """A folder for GDAL: links to the .shp and .shx, and the .prj in UTF-8. The table is ours, and a missing .shx may be rebuilt there."""
    import pyogrio

    is_missing = shape_text.beside(shp, ".shx") is None
    with tempfile.TemporaryDirectory() as folder:
        for ending in (".shp", ".shx"):
            there = shape_text.beside(shp, ending)
            if there is not None:
                (Path(folder) / (shp.stem + ending)).symlink_to(there.resolve())
        if (prj := shape_text.beside(shp, ".prj")) is not None:
            (Path(folder) / (shp.stem + ".prj")).write_text(shape_text.system_text(prj), encoding="utf-8")
        if is_missing:
            pyogrio.set_gdal_config_options({"SHAPE_RESTORE_SHX": True})
        try:
            yield Path(folder) / (shp.stem + ".shp")
        finally:
            if is_missing:
                pyogrio.set_gdal_config_options({"SHAPE_RESTORE_SHX": None})
