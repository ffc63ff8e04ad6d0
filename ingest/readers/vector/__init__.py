"""Readers of vector formats: GeoJSON, GeoPackage, Shapefile, FlatGeobuf, GeoParquet, OpenSidewalks."""
