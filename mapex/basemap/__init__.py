"""The map below every other map: land, divisions of Korea and their names, cut into vector tiles, in files that are served in ranges."""
