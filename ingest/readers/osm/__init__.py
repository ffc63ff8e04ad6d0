"""The reader of OpenStreetMap's own binary format."""
