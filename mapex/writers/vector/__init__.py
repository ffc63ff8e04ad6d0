"""Features of vector tiles, each whole and once, and the formats that they are written in."""
