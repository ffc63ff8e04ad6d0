"""The object store: its protocol, the directory on a disk, MinIO, signed addresses."""
