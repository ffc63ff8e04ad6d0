"""Readers of recordings and photos: MCAP, JPEG with EXIF."""
