"""Points of LAZ tiles, and the formats that they are written in."""
