"""How QGIS draws the layers of a GeoPackage: a colour for each kind, in the table `layer_styles` that QGIS reads them from.

Source: qgsogrprovider.cpp of QGIS 3 (the table and its columns), qgssymbollayerutils.cpp (the options of a symbol layer).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from xml.sax.saxutils import quoteattr

from mapex.errors import Unavailable

TABLE = "layer_styles"
_COLOURS = {
    "lane_centre": "31,120,180", "lane_border": "90,90,90", "lane_area": "166,206,227", "stop_line": "227,26,28",
    "crossing": "255,193,7", "sidewalk": "51,160,44", "cycleway": "255,127,0", "kerb": "121,85,72", "sign": "106,61,154",
    "signal": "214,39,40", "pole": "60,60,60", "marking": "150,150,150", "barrier": "177,89,40", "junction": "202,178,214",
    "node": "0,0,0", "other": "120,144,156",
}  # fmt: skip
_DASHED = frozenset({"lane_centre"})
_CREATE = f"""CREATE TABLE {TABLE} (
 id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256), f_table_schema TEXT(256), f_table_name TEXT(256),
 f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT, useAsDefault BOOLEAN, description TEXT, owner TEXT(30),
 ui TEXT(30), update_time DATETIME DEFAULT CURRENT_TIMESTAMP)"""
_SYMBOLS = {
    "Point": (0, "marker", "SimpleMarker"),
    "Line": (1, "line", "SimpleLine"),
    "Polygon": (2, "fill", "SimpleFill"),
}  # fmt: skip
"""Number that QGIS gives to geometries, the sort of their symbol, its class."""


def put_into(path: Path, layers: Mapping[str, str]) -> None:
    """Add the styles of layers (name -> type of all their geometries) to a GeoPackage. A layer of several types keeps what QGIS gives it.

    Raises: Unavailable: `join.write`.
    """
    rows = [(name, qml) for name, shape in layers.items() if (qml := style_of(name, shape))]
    try:
        with closing(sqlite3.connect(path)) as db, db:
            db.execute(_CREATE)
            db.executemany(
                f"INSERT INTO {TABLE} (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName, styleQML, styleSLD,"
                " useAsDefault, description, owner) VALUES ('', '', ?, 'geom', 'mapex', ?, '', 1, '', '')",
                rows,
            )
            contents = "INSERT INTO gpkg_contents (table_name, data_type, identifier, description) VALUES (?, 'attributes', ?, '')"
            db.execute(contents, (TABLE, TABLE))
            db.execute("INSERT INTO gpkg_ogr_contents (table_name, feature_count) VALUES (?, ?)", (TABLE, len(rows)))
    except sqlite3.Error as error:
        raise Unavailable("join.write", f"{path.name} could not be written: {error}. Is the disk full?") from error


def style_of(kind: str, shape: str) -> str:
    """The style (QML) of a layer of a kind; "" when its geometries are of several types."""
    sort = next((word for word in _SYMBOLS if word in shape and "Collection" not in shape), None)
    if sort is None:
        return ""
    number, symbol, layer = _SYMBOLS[sort]
    colour = f"{_COLOURS.get(kind, _COLOURS['other'])},255"
    options = {
        "Point": {"color": colour, "name": "circle", "outline_color": "255,255,255,255", "size": "2"},
        "Line": {"line_color": colour, "line_style": "dash" if kind in _DASHED else "solid", "line_width": "0.4"},
        "Polygon": {"color": colour.replace(",255", ",110"), "outline_color": colour, "outline_width": "0.26", "style": "solid"},
    }[sort]
    # `Option` is what QGIS 3.20 and later read, `prop` what those before do.
    values = "".join(f'<Option type="QString" name={quoteattr(name)} value={quoteattr(value)}/>' for name, value in options.items())
    older = "".join(f"<prop k={quoteattr(name)} v={quoteattr(value)}/>" for name, value in options.items())
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
        '<qgis version="3.28.0" styleCategories="Symbology"><renderer-v2 type="singleSymbol" symbollevels="0" forceraster="0">'
        f'<symbols><symbol name="0" type="{symbol}" alpha="1" clip_to_extent="1" force_rhr="0"><layer class="{layer}" enabled="1" pass="0"'
        f' locked="0"><Option type="Map">{values}</Option>{older}</layer></symbol></symbols></renderer-v2>'
        f"<layerGeometryType>{number}</layerGeometryType></qgis>\n"
    )
