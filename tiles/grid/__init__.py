"""Where things are: the tile grid, regions, the cells that they cover, footprints."""
