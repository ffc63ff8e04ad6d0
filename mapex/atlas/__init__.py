"""Where things are, in words: places that are looked for, names of tiles and areas, the regions in which something is on offer."""
