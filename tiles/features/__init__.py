"""Vector features in tiles: assigned to cells, measured, split, written as GeoParquet and recounted."""
