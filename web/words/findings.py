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
    "columns": lazy_gettext("Choose which columns are the place."),
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
    "apollo.limit": (lazy_gettext("The map is larger than what is read at once."), "split"),
    "apollo.repeats": (lazy_gettext("Elements without a shape take those of others far too often."), "split"),
    "area.open": (lazy_gettext("The outline of an area is not closed."), "geometry"),
    "border.loop": (lazy_gettext("Borders that ran back over themselves beside a kink of their road were cut there."), "none"),
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
    "lane.id": (lazy_gettext("A lane has no usable id; it was left out."), "geometry"),
    "lane.negative_width": (lazy_gettext("A lane is less than nothing wide at one place."), "geometry"),
    "lane.no_width": (lazy_gettext("A lane states no width; it is a line."), "geometry"),
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
    "las.waves_left_out": (lazy_gettext("Waveforms were left out; the points came in."), "none"),
    "las.week_time": (lazy_gettext("Times count within a GPS week; the date is not known."), "none"),
    "layer.proportion": (lazy_gettext("One feature makes most of the length, area or number of cells of the layer."), "look"),
    "layer.mixed": (lazy_gettext("Two files fill one layer with different content."), "one"),
    "laz.broken": (lazy_gettext("The packed points cannot be read."), "again"),
    "laz.chunks": (lazy_gettext("The packed points cannot be read."), "again"),
    "laz.record": (lazy_gettext("The packed points cannot be read."), "again"),
    "licence.source": (lazy_gettext("The licence of the source goes along with the data, wherever they are sold."), "none"),
    "link.not_checked": (lazy_gettext("Links between features could not be checked."), "none"),
    "link.reversed": (lazy_gettext("The link is drawn from its end to its start."), "geometry"),
    "mgeo.limit": (lazy_gettext("The map is larger than what is read at once."), "split"),
    "mgeo.repeats": (lazy_gettext("Elements without a shape take those of others far too often."), "split"),
    "mgrs.disagrees": (lazy_gettext("Grid code and coordinates disagree."), "again"),
    "mgrs.invalid": (lazy_gettext("The grid code names no square; it was not used."), "none"),
    "ngii.products": (lazy_gettext("Several products of the same map are in the folder; one of them is read."), "none"),
    "ngii.code_unknown": (lazy_gettext("A code is not one of the manual; it stays as it is."), "none"),
    "ngii.heights": (lazy_gettext("The height datum was found by comparing two products of the same map."), "datum"),
    "ngii.heights_exchanged": (lazy_gettext("Two products of the same map are the other way round than their names state."), "datum"),
    "ngii.heights_mixed": (lazy_gettext("The sections are above different heights."), "datum"),
    "ngii.layer_absent": (lazy_gettext("A layer that the manual asks for is missing."), "look"),
    "ngii.models": (lazy_gettext("The delivery holds layers of several data models."), "look"),
    "ngii.no_system": (lazy_gettext("A layer states no coordinate system; that of its folder was used."), "beside"),
    "ngii.not_checked": (lazy_gettext("What a column refers to could not be checked."), "none"),
    "ngii.one_sided": (lazy_gettext("A link names a neighbour that names another link."), "geometry"),
    "ngii.products_apart": (lazy_gettext("Two products of the same map are not on one another."), "crs"),
    "ngii.products_differ": (lazy_gettext("A product that is not read holds features that the other one lacks."), "look"),
    "node.no_position": (lazy_gettext("A node has no position."), "crs"),
    "number.invalid": (lazy_gettext("What should be a number is none; it was taken as 0."), "attribute_value"),
    "osm.feature": (lazy_gettext("The file needs a part of the OSM format that is not read here."), "again"),
    "osm.history": (lazy_gettext("An OSM file with several versions of its elements."), "again"),
    "osm.limit": (lazy_gettext("The OSM file is larger than what is read at once."), "split"),
    "osm.sidewalk_tags": (lazy_gettext("Streets state sidewalks that have no line of their own."), "none"),
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
    "recording.attachment": (lazy_gettext("A file beside the recording is too large and was left out."), "split"),
    "recording.channels": (lazy_gettext("The recording has too many channels, or too long definitions of them."), "split"),
    "recording.clock": (lazy_gettext("Clocks of sensors differ."), "clock"),
    "recording.count": (lazy_gettext("The recording holds another number of messages than it states."), "again"),
    "recording.cut": (lazy_gettext("The recording was cut."), "upload"),
    "recording.damaged": (lazy_gettext("A part of the recording is damaged and was left out."), "again"),
    "recording.far": (lazy_gettext("Positions jump far within the recording."), "clock"),
    "recording.missing": (lazy_gettext("Files or messages of the recording are missing."), "again"),
    "recording.no_fix": (lazy_gettext("Without a position fix for a while."), "none"),
    "recording.not_repeated": (lazy_gettext("Something that every slice could use is too large to be repeated in each."), "none"),
    "recording.orphans": (lazy_gettext("Messages without a channel were left out."), "again"),
    "recording.pictures": (lazy_gettext("The recording shows pictures of the street."), "class"),
    "recording.repeated": (lazy_gettext("Transforms, calibrations and small attachments are in every slice, and counted once."), "none"),
    "recording.repeats": (lazy_gettext("What every slice of the recording repeats is far more than what was recorded."), "split"),
    "recording.time": (lazy_gettext("Times in the recording are wrong."), "clock"),
    "recording.track_time": (lazy_gettext("The track beside the recording is of another time and was not used."), "clock"),
    "recording.undefined": (lazy_gettext("The recording does not bring the definitions of its message types."), "none"),
    "recording.unpacked": (lazy_gettext("Messages that were packed one by one are in the slices unpacked."), "none"),
    "recording.unreadable": (lazy_gettext("Not one message of the recording can be read."), "upload"),
    "recording.unusable": (lazy_gettext("Messages that cannot be unpacked or are too large were left out."), "again"),
    "reference.dangling": (lazy_gettext("A feature refers to one that is not there."), "geometry"),
    "road.gap": (lazy_gettext("The line of a road jumps."), "geometry"),
    "road.length": (lazy_gettext("A road states another length than its line has."), "again"),
    "road.no_geometry": (lazy_gettext("The line of a road cannot be used; nothing on it has a place."), "geometry"),
    "row.deleted": (lazy_gettext("The row is marked as deleted; it is not sold."), "none"),
    "shp.no_dbf": (lazy_gettext("The attributes of the shapefile (.dbf) are missing."), "beside"),
    "shp.no_prj": (lazy_gettext("The coordinate system of the shapefile (.prj) is missing."), "beside"),
    "shp.no_shx": (lazy_gettext("The index of the shapefile (.shx) is missing; it was made again."), "beside"),
    "shp.rows": (lazy_gettext("Shapes and rows of the shapefile are not equally many."), "again"),
    "source.same": (lazy_gettext("Two files hold the same data; it would be sold twice."), "keep_one"),
    "text.damaged": (lazy_gettext("A text is cut inside a letter or holds bytes that mean none; only these were replaced."), "encoding"),
    "crs.no_columns": (lazy_gettext("Nothing tells which columns of the table are the place."), "columns"),
    "csv.columns": (lazy_gettext("The places were taken from columns that are called so."), "none"),
    "csv.head": (lazy_gettext("The table does not begin with names of columns."), "again"),
    "csv.last_row": (lazy_gettext("The table does not end with a line break; its last row may be short."), "look"),
    "csv.no_column": (lazy_gettext("The table has no such column."), "columns"),
    "csv.pair": (lazy_gettext("A place needs two columns, or one with shapes."), "columns"),
    "csv.place": (lazy_gettext("A row has a place that is none."), "attribute_value"),
    "csv.row": (lazy_gettext("A row has another number of cells than the table has columns."), "again"),
    "dxf.curves": (lazy_gettext("Arcs, circles and splines of a drawing became lines of short pieces."), "none"),
    "dxf.left_out": (lazy_gettext("Solids, pictures and objects of other programs are not read."), "format"),
    "geometry.no_number": (lazy_gettext("Coordinates are no numbers; the features have no place."), "geometry"),
    "kml.links": (lazy_gettext("The document links to others, which are not followed."), "none"),
    "kml.shape": (lazy_gettext("The shape of a placemark cannot be drawn; it has no place."), "geometry"),
    "nmea.checksum": (lazy_gettext("The checksums of sentences do not fit."), "look"),
    "nmea.fixes": (lazy_gettext("The positions are also messages of their own."), "none"),
    "nmea.no_date": (lazy_gettext("The log states no date; it is recorded as if on 1 January 1970."), "clock"),
    "nmea.other": (lazy_gettext("Lines that are no sentences of NMEA were left out."), "none"),
    "track.features": (lazy_gettext("Way points, routes and tracks without times are features."), "none"),
    "track.more": (lazy_gettext("What else the points of a track hold is a text beside each."), "none"),
    "track.no_place": (lazy_gettext("Points of a track have no place."), "geometry"),
    "track.no_time": (lazy_gettext("Points of a track have no time."), "clock"),
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
    "video.by_clock": (lazy_gettext("The video was put on its track by the camera's clock or by its length."), "look"),
    "video.clock_off": (lazy_gettext("The clock of the camera differs from that of its receiver, which counts."), "none"),
    "video.codec": (lazy_gettext("The pictures of the video are packed in a way that is not read."), "format"),
    "video.cut": (lazy_gettext("Frames that the video describes are not there: it was cut."), "upload"),
    "video.damaged": (lazy_gettext("The video is damaged."), "upload"),
    "video.edge": (lazy_gettext("Frames at the edge of a tile could not be packed anew and were left out."), "again"),
    "video.edits": (lazy_gettext("The video has an edit list; all frames that were recorded are taken."), "none"),
    "video.frames": (lazy_gettext("Some frames of the video are damaged and were left out."), "upload"),
    "video.mixed": (lazy_gettext("A file was recorded with other settings than the others and was left out."), "one"),
    "video.no_index": (lazy_gettext("The video was cut before the description of its pictures."), "upload"),
    "video.no_pictures": (lazy_gettext("The file holds no video."), "upload"),
    "video.no_time": (lazy_gettext("Nobody knows when the frames were taken."), "clock"),
    "video.packed_anew": (lazy_gettext("Frames of groups that go over the edge of a tile were packed anew."), "none"),
    "video.sensors": (lazy_gettext("The camera recorded other sensors, which tiles of video do not hold."), "none"),
    "video.sound": (lazy_gettext("The sound of the video was left out."), "none"),
    "video.telemetry": (lazy_gettext("Pieces of the camera's telemetry are damaged and were not used."), "look"),
    "video.tracks": (lazy_gettext("The file holds several tracks of pictures; the first was taken."), "one"),
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

NOTED = ("crs.note", "crs.guessed", "place.local_frame", "crs.none", "crs.no_columns", "crs.contradicts")
"""The codes of what a layer notes about its place."""


def _now(code: str) -> str:
    """The code of today: until version 0.2 damage of recordings was called after MCAP, which was all that was read."""
    return f"recording.{code[5:]}" if code.startswith("mcap.") else code


def what(code: str, message: str) -> str:
    """What a finding means: the message of the service, or in another language that sentence, else the one of its code, if it has one."""
    code = _now(code)
    found = FINDINGS.get(code)
    if language() == "en":
        return message
    return translated(language(), code, message) or (message if found is None else str(found[0]))


def meaning(code: str) -> str:
    """What findings of this kind mean, for a list that shows no single one; the code itself when it has no sentence."""
    found = FINDINGS.get(_now(code))
    return code if found is None else str(found[0])


def fix(code: str, message: str) -> str:
    """What to do about a finding, as `what`."""
    found = FINDINGS.get(_now(code))
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
