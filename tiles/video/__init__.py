"""Video in tiles: MP4 files of one cell, cut from the sender's without unpacking a picture where that is possible, and recounted."""
