"""Recordings and photos in tiles: MCAP slices and tars of pictures, split by place and recounted."""
