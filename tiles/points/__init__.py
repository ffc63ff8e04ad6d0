"""Point clouds in tiles: LAS headers and records, split by cell, written as LAZ and recounted."""
