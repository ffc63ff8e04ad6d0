"""Where data is on the ground: coordinate systems, height datums, grids, origins."""
