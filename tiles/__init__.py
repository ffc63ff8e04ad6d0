"""Tiles: the grid, regions, columnar batches, splitting, codecs, spatial index and the object store."""
