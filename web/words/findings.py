"""What findings mean, and what to do about them, in plain words by their code.

English pages show the sentence of the service, which names the numbers; other languages the same sentence with the same numbers
(`web.words.sentences`), or these where it is not known.
"""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext

from web.words.language import language
from web.words.numbers import n_
from web.words.sentences import remedy, translated

FIXES: dict[str, Any] = {
    "crs": lazy_gettext("Choose the coordinate system or the origin."),
    "look": lazy_gettext("Check the place on the map."),
    "order": lazy_gettext("Write longitude (east) first."),
    "again": lazy_gettext("Export the file again and upload it."),
    "upload": lazy_gettext("Upload the file again."),
    "confirm": lazy_gettext("Correct it in the source and upload it again, or confirm it when you publish."),
    "geometry": lazy_gettext("Correct this feature in the source and upload it again."),
    "none": lazy_gettext("Nothing needs to be done."),
    "attribute_value": lazy_gettext("Correct the value in the source, or clear it."),
    "attribute": lazy_gettext("Add the attribute in the source."),
    "beside": lazy_gettext("Upload the missing file beside it."),
    "rename": lazy_gettext("Rename it and upload it again."),
    "split": lazy_gettext("Check the file, or split it into smaller ones."),
    "later": lazy_gettext("Upload it again later."),
    "operator": lazy_gettext("Please tell the operator."),
    "height": lazy_gettext("Check heights, their unit and the no-data value."),
    "datum": lazy_gettext("Choose the height datum: in Korea sea level and ellipsoid are 23 to 30 m apart."),
    "clock": lazy_gettext("Check the clocks of recorder and sensors."),
    "one": lazy_gettext("Upload them one by one."),
    "keep_one": lazy_gettext("Upload one of them."),
    "zip": lazy_gettext("Pack the archive again."),
    "encoding": lazy_gettext("Save the file as UTF-8, or correct the .cpg file."),
    "class": lazy_gettext("Check the handling class."),
    "proof": lazy_gettext("Leave it out, or show the operator that nobody can be recognised in it."),
    "points": lazy_gettext("Upload these fields as a second cloud, or leave them out."),
    "format": lazy_gettext("Save it in a format that is read here."),
}

FINDINGS: dict[str, tuple[Any, str]] = {
    "area.open": (lazy_gettext("The outline of an area is not closed."), "geometry"),
    "changes.unknown": (
        lazy_gettext("What this version changes could not be found out; buyers are offered each tile that differs."),
        "none",
    ),
    "class.layer_unknown": (lazy_gettext("A class was given for a layer that does not exist."), "class"),
    "class.raised": (lazy_gettext("The layer may show people and plates, so it is handled as original."), "class"),
    "coordinate.not_finite": (lazy_gettext("A coordinate is not a number; the feature was left out."), "geometry"),
    "coordinate.out_of_range": (lazy_gettext("A coordinate is outside of the map; the record was left out."), "geometry"),
    "column.as_text": (lazy_gettext("A column of numbers is kept as text, to the last digit."), "none"),
    "count.mismatch": (lazy_gettext("The file holds another number of records than it states."), "again"),
    "counts.lost": (lazy_gettext("Records were lost while tiles were cut; nothing of it is used."), "operator"),
    "counts.split": (lazy_gettext("Records were lost or doubled while tiles were cut."), "operator"),
    "crs.contradicts": (lazy_gettext("The stated coordinate system contradicts the coordinates."), "crs"),
    "crs.datum_unknown": (
        lazy_gettext("The datum is not known; all of it may be off by hundreds of metres (in Korea 300 to 400 m)."),
        "crs",
    ),
    "crs.guessed": (lazy_gettext("The coordinate system was guessed."), "look"),
    "crs.inaccurate": (lazy_gettext("The way from this coordinate system to WGS 84 is not exact."), "none"),
    "crs.late": (lazy_gettext("The coordinate system is stated after the features, where it is found too late."), "crs"),
    "crs.name_differs": (lazy_gettext("The name of the file or its folder states another coordinate system than the file."), "look"),
    "crs.none": (lazy_gettext("Nothing states the coordinate system."), "crs"),
    "crs.note": (lazy_gettext("Something was assumed about the coordinate system."), "look"),
    "crs.of_feature": (lazy_gettext("A feature states a coordinate system of its own."), "crs"),
    "crs.outside_area": (lazy_gettext("The features are far outside of the area that their coordinate system is for."), "crs"),
    "crs.several": (lazy_gettext("The files state several coordinate systems."), "look"),
    "crs.swapped": (lazy_gettext("Latitude and longitude (east and north) are exchanged."), "order"),
    "crs.two_records": (lazy_gettext("The file states two coordinate systems that contradict each other."), "look"),
    "crs.two_stated": (lazy_gettext("The file states two coordinate systems for the same column."), "crs"),
    "element.deleted": (lazy_gettext("An element is marked as deleted."), "none"),
    "extra.missing": (lazy_gettext("What reads such files is not installed here."), "operator"),
    "feature.no_place": (
        lazy_gettext("Records without a geometry, their own or one referred to; no tile holds them."),
        "geometry",
    ),
    "feature.not_json": (lazy_gettext("A feature is not written as JSON; it was left out."), "geometry"),
    "feature.ambiguous": (lazy_gettext("A feature has a member twice."), "geometry"),
    "feature.not_one": (lazy_gettext("A record is no feature."), "geometry"),
    "file.damaged": (lazy_gettext("The file was cut or damaged."), "upload"),
    "file.ignored": (lazy_gettext("Files beside the data (styles, indexes, documents) were not read."), "none"),
    "file.name": (lazy_gettext("The name of a file cannot be used."), "rename"),
    "file.no_records": (lazy_gettext("The file holds no records."), "again"),
    "footage.unproven": (lazy_gettext("Nobody can be sure that this is free of pictures and sound, so the layer is original."), "proof"),
    "file.same_name": (lazy_gettext("Several files are called alike; all of them are read."), "look"),
    "files.lost": (lazy_gettext("Not every file that was sent reached the reader; nothing of them is used."), "operator"),
    "format.assumed": (lazy_gettext("The format was assumed: the file has no geo metadata."), "look"),
    "format.disguised": (lazy_gettext("The file is of another kind than it states; it is refused."), "format"),
    "format.empty": (lazy_gettext("Nothing in it can be read."), "upload"),
    "format.several": (lazy_gettext("Several data sets are in one file."), "one"),
    "format.unknown": (lazy_gettext("No reader knows this file."), "format"),
    "format.unsupported": (lazy_gettext("This kind of file is not read here."), "format"),
    "frame.no_place": (lazy_gettext("Messages or pictures have no position."), "look"),
    "geometry.antimeridian": (lazy_gettext("Some features go over the 180 degree meridian; they were cut in two there."), "look"),
    "geometry.curve": (lazy_gettext("Arcs were drawn as lines that stay within the stated distance; the arcs are kept beside."), "none"),
    "geometry.edges": (lazy_gettext("Lines are stated as curves on the globe; they are taken as straight from vertex to vertex."), "none"),
    "geometry.encoding": (lazy_gettext("The geometry is written in an encoding that is not read."), "format"),
    "geometry.invalid": (lazy_gettext("The polygon crosses itself or its rings do not fit; it is kept as it is."), "geometry"),
    "geometry.jump": (lazy_gettext("The line jumps: a vertex is far from its neighbours."), "confirm"),
    "geometry.long_segment": (lazy_gettext("Some segments are far longer than others of the layer."), "look"),
    "geometry.measure": (lazy_gettext("The geometry carries measures; they are kept as an attribute."), "none"),
    "geometry.refused": (lazy_gettext("This kind of geometry is not read."), "geometry"),
    "geometry.surface": (lazy_gettext("Surfaces and curve types without arcs became polygons and lines, exactly."), "none"),
    "geometry.uncut": (lazy_gettext("A feature over the 180 degree meridian cannot be cut there; it was left out."), "geometry"),
    "geometry.unusable": (lazy_gettext("The geometry fits into no cell."), "geometry"),
    "geometry.zero_length": (lazy_gettext("The line has no length."), "geometry"),
    "gpkg.generated": (lazy_gettext("A table has computed columns, which are never run."), "again"),
    "gpkg.not_one": (lazy_gettext("The file is no GeoPackage."), "format"),
    "gpkg.styles": (lazy_gettext("The file says how QGIS draws it, which is not sold."), "none"),
    "gpkg.view": (lazy_gettext("The file holds SQL views, which are never run."), "again"),
    "gpkg.virtual_table": (lazy_gettext("The file holds virtual tables, which are refused."), "again"),
    "height.datum_unknown": (lazy_gettext("The layer has heights, and nothing states above what."), "datum"),
    "height.implausible": (lazy_gettext("A height is not plausible."), "height"),
    "height.jump": (lazy_gettext("The height jumps between neighbours."), "height"),
    "height.missing": (lazy_gettext("Some heights are missing."), "height"),
    "height.mixed": (lazy_gettext("Some nodes have a height and some have none."), "height"),
    "id.duplicate": (lazy_gettext("The same id comes more than once."), "geometry"),
    "json.doubled_key": (lazy_gettext("A name stands twice; both values are kept."), "attribute"),
    "kind.unknown": (lazy_gettext("It is not known what this feature is."), "attribute"),
    "lanelet.no_bound": (lazy_gettext("The lane has no left or right bound."), "geometry"),
    "las.box": (lazy_gettext("The box in the header is not that of the points."), "none"),
    "las.count": (lazy_gettext("The header promises another number of points."), "again"),
    "las.cut": (lazy_gettext("The point file was cut."), "upload"),
    "las.damaged": (lazy_gettext("The point file is damaged."), "again"),
    "las.evlr": (lazy_gettext("The head of the point file claims more records than are read."), "again"),
    "las.extra_bytes": (lazy_gettext("The extra bytes described are more than a point has."), "again"),
    "las.feet": (lazy_gettext("Heights or coordinates are in feet."), "none"),
    "las.header": (lazy_gettext("This version of LAS is not read."), "format"),
    "las.points": (lazy_gettext("Points are missing or have no place."), "again"),
    "las.returns": (lazy_gettext("The counts of returns in the header are wrong."), "none"),
    "las.signature": (lazy_gettext("The file is no LAS or LAZ file."), "format"),
    "las.vlr": (lazy_gettext("The head of the point file claims more records than are read."), "again"),
    "las.waveform": (lazy_gettext("The points carry waveforms, which tiles cannot hold."), "again"),
    "las.week_time": (lazy_gettext("Times count within a GPS week; the date is not known."), "none"),
    "layer.proportion": (lazy_gettext("One feature makes most of the length, area or number of cells of the layer."), "look"),
    "layer.mixed": (lazy_gettext("Two files fill one layer with different content."), "one"),
    "laz.broken": (lazy_gettext("The packed points cannot be read."), "again"),
    "laz.chunks": (lazy_gettext("The packed points cannot be read."), "again"),
    "laz.record": (lazy_gettext("The packed points cannot be read."), "again"),
    "link.not_checked": (lazy_gettext("Links between features could not be checked."), "none"),
    "link.reversed": (lazy_gettext("The link is drawn from its end to its start."), "geometry"),
    "mcap.attachment": (lazy_gettext("A file beside the recording is too large and was left out."), "split"),
    "mcap.channels": (lazy_gettext("The recording has too many channels, or too long definitions of them."), "split"),
    "mcap.count": (lazy_gettext("The recording holds another number of messages than it states."), "again"),
    "mcap.cut": (lazy_gettext("The recording was cut."), "upload"),
    "mcap.damaged": (lazy_gettext("A part of the recording is damaged and was left out."), "again"),
    "mcap.orphans": (lazy_gettext("Messages without a channel were left out."), "again"),
    "mcap.unreadable": (lazy_gettext("Not one message of the recording can be read."), "upload"),
    "mgrs.disagrees": (lazy_gettext("Grid code and coordinates disagree."), "again"),
    "mgrs.invalid": (lazy_gettext("The grid code names no square; it was not used."), "none"),
    "ngii.products": (lazy_gettext("Several products of the same map are in the folder."), "one"),
    "node.no_position": (lazy_gettext("A node has no position."), "crs"),
    "osm.flavour": (lazy_gettext("An OSM file without lane relations."), "look"),
    "osw.no_nodes": (lazy_gettext("The file of nodes is missing."), "upload"),
    "osw.no_parts": (lazy_gettext("The archive or folder holds no file of OpenSidewalks."), "again"),
    "osw.schema": (lazy_gettext("Not all features follow the OpenSidewalks schema."), "look"),
    "pcd.compressed": (lazy_gettext("The packed points cannot be read."), "again"),
    "pcd.head": (lazy_gettext("The head of the point file is not understood."), "again"),
    "photo.doubt": (lazy_gettext("The position of a photo is doubtful."), "look"),
    "photo.no_time": (lazy_gettext("A photo does not say when it was taken."), "none"),
    "photo.put": (lazy_gettext("A photo without position was put at the place that you gave."), "none"),
    "photo.unreadable": (lazy_gettext("A photo cannot be read."), "upload"),
    "photo.xmp": (lazy_gettext("The position of a photo is in its XMP data only."), "none"),
    "place.local_frame": (lazy_gettext("Local coordinates were placed round the origin that you gave."), "look"),
    "place.null_island": (lazy_gettext("Records are at 0, 0, where no map is; they have no place."), "crs"),
    "place.unknown": (lazy_gettext("Nothing states where this is."), "crs"),
    "ply.head": (lazy_gettext("The head of the point file is not understood."), "again"),
    "ply.not_points": (lazy_gettext("The file holds surfaces; only their points were read."), "none"),
    "points.column": (lazy_gettext("A value of the points does not fit into LAS."), "again"),
    "points.float32_steps": (lazy_gettext("Coordinates were stored too coarsely: points are on steps."), "again"),
    "points.left_out": (lazy_gettext("Some fields of the points have no place in a tile and were left out."), "points"),
    "points.missing": (lazy_gettext("Points that the header promises are missing."), "upload"),
    "points.none": (lazy_gettext("The file holds no points."), "again"),
    "points.not_finite": (lazy_gettext("Points without coordinates were left out."), "none"),
    "points.out_of_range": (lazy_gettext("Points have no place on the map."), "crs"),
    "points.text": (lazy_gettext("A line of the text of points is not understood."), "again"),
    "points.text_end": (lazy_gettext("The text of points ends in the middle of a line."), "again"),
    "points.too_far": (lazy_gettext("Some points are too far from the others."), "again"),
    "preview.broken": (lazy_gettext("A preview was not kept, because it is not what was asked for."), "none"),
    "preview.failed": (lazy_gettext("Some previews could not be made."), "none"),
    "preview.no_blur": (lazy_gettext("No pictures are shown, because they could not be blurred here."), "operator"),
    "preview.no_lines": (lazy_gettext("The layer has no lines that could be drawn as a preview."), "none"),
    "preview.too_few": (lazy_gettext("The cloud has too few points to show a part of them."), "none"),
    "preview.unreadable": (lazy_gettext("Some pictures could not be shown."), "none"),
    "quantity.too_large": (lazy_gettext("The layer measures more than any layer can."), "geometry"),
    "reader.bad_answer": (lazy_gettext("The file broke its reader; nothing of it is used."), "operator"),
    "reader.crashed": (lazy_gettext("The reader crashed: a fault of mapex, not of the file."), "operator"),
    "reader.ended": (lazy_gettext("The reader was ended from outside; the machine may have been short of memory."), "later"),
    "reader.failed": (lazy_gettext("The reader failed: a fault of mapex, not of the file."), "operator"),
    "reader.limit_all": (lazy_gettext("Other files of the version took all of the time; this one was not read."), "split"),
    "reader.limit_cpu": (lazy_gettext("Reading the file takes more computing than allowed."), "split"),
    "reader.limit_memory": (lazy_gettext("Reading the file takes more memory than allowed."), "split"),
    "reader.limit_output": (lazy_gettext("The file grows too much when it is read."), "split"),
    "reader.limit_time": (lazy_gettext("Reading the file takes too long."), "split"),
    "relation.repeats": (
        lazy_gettext("Relations take the same ways again and again; a small map would become an enormous one."),
        "geometry",
    ),
    "recording.clock": (lazy_gettext("Clocks of sensors differ."), "clock"),
    "recording.far": (lazy_gettext("Positions jump far within the recording."), "clock"),
    "recording.not_repeated": (lazy_gettext("Something that every slice could use is too large to be repeated in each."), "none"),
    "recording.no_fix": (lazy_gettext("Without a position fix for a while."), "none"),
    "recording.pictures": (lazy_gettext("The recording shows pictures of the street."), "class"),
    "recording.repeated": (lazy_gettext("Transforms, calibrations and small attachments are in every slice, and counted once."), "none"),
    "recording.repeats": (lazy_gettext("What every slice of the recording repeats is far more than what was recorded."), "split"),
    "recording.time": (lazy_gettext("Times in the recording are wrong."), "clock"),
    "reference.dangling": (lazy_gettext("A feature refers to one that is not there."), "geometry"),
    "row.deleted": (lazy_gettext("The row is marked as deleted; it is not sold."), "none"),
    "shp.no_dbf": (lazy_gettext("The attributes of the shapefile (.dbf) are missing."), "beside"),
    "shp.no_prj": (lazy_gettext("The coordinate system of the shapefile (.prj) is missing."), "beside"),
    "shp.no_shx": (lazy_gettext("The index of the shapefile (.shx) is missing; it was made again."), "beside"),
    "shp.rows": (lazy_gettext("Shapes and rows of the shapefile are not equally many."), "again"),
    "source.same": (lazy_gettext("Two files hold the same data; it would be sold twice."), "keep_one"),
    "text.damaged": (lazy_gettext("A text is cut inside a letter or holds bytes that mean none; only these were replaced."), "encoding"),
    "source.beside": (lazy_gettext("The file says something about the whole map, which tiles do not hold."), "none"),
    "text.encoding_guessed": (lazy_gettext("The encoding of texts was guessed."), "encoding"),
    "text.encoding_lies": (lazy_gettext("The stated encoding is wrong."), "encoding"),
    "text.encoding_unknown": (lazy_gettext("Some texts are in an unknown encoding."), "encoding"),
    "text.lone_surrogate": (lazy_gettext("A text holds half of a character."), "encoding"),
    "tile.bad": (lazy_gettext("A tile did not pass its second count."), "operator"),
    "upload.corrupt": (lazy_gettext("The file arrived with other content than promised."), "upload"),
    "value.misfit": (lazy_gettext("A value is not what its column states; it is null or stays as text."), "attribute_value"),
    "value.not_finite": (lazy_gettext("A value is no number that can be written; it stays as text."), "attribute_value"),
    "version.empty": (lazy_gettext("Nothing in the files has a place."), "crs"),
    "way.short": (lazy_gettext("A line has fewer than two points."), "geometry"),
    "xml.dtd": (lazy_gettext("The XML file declares a document type, which is refused."), "again"),
    "xml.encoding": (lazy_gettext("The XML file declares an unknown encoding."), "encoding"),
    "xml.limit": (lazy_gettext("The XML file is nested too deeply."), "again"),
    "zip.bomb": (lazy_gettext("The archive grows too much when it is unpacked."), "zip"),
    "zip.damaged": (lazy_gettext("The archive is damaged."), "zip"),
    "zip.encrypted": (lazy_gettext("The archive is encrypted."), "zip"),
    "zip.folders": (lazy_gettext("The archive holds too many folders, or they are too deep."), "zip"),
    "zip.link": (lazy_gettext("The archive holds a link, which is never followed."), "zip"),
    "zip.too_large": (lazy_gettext("The archive is too large when it is unpacked."), "split"),
    "zip.too_many": (lazy_gettext("The archive holds too many files."), "split"),
}
"""Sentence and key of `FIXES` by code."""

NOTED = ("crs.note", "crs.guessed", "place.local_frame", "crs.none", "crs.contradicts")
"""The codes of what a layer notes about its place."""


def what(code: str, message: str) -> str:
    """What a finding means: the message of the service, or in another language that sentence, else the one of its code, if it has one."""
    found = FINDINGS.get(code)
    if language() == "en":
        return message
    return translated(language(), code, message) or (message if found is None else str(found[0]))


def meaning(code: str) -> str:
    """What findings of this kind mean, for a list that shows no single one; the code itself when it has no sentence."""
    found = FINDINGS.get(code)
    return code if found is None else str(found[0])


def fix(code: str, message: str) -> str:
    """What to do about a finding, as `what`."""
    found = FINDINGS.get(code)
    if language() == "en":
        return message
    if found is None or (found[1] == "none" and message):  # never the contrary of what is known
        return remedy(language(), message) or ""
    return remedy(language(), message) or str(FIXES[found[1]])


def note(text: str) -> str:
    """What a reader remarked about the place of a layer; empty in another language that has no sentence for it."""
    if language() == "en" or not text:
        return text
    return next((found for code in NOTED if (found := translated(language(), code, text))), "")


def counted(severity: str, count: int) -> str:
    """So many findings of a severity."""
    if severity == "error":
        return n_("%(count)s error", "%(count)s errors", count)
    if severity == "question":
        return n_("%(count)s question", "%(count)s questions", count)
    if severity == "warning":
        return n_("%(count)s warning", "%(count)s warnings", count)
    return n_("%(count)s note", "%(count)s notes", count)
