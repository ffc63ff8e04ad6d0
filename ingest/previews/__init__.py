"""Previews, made inside the cage from finished tiles: lines, clouds, blurred pictures and clips."""
