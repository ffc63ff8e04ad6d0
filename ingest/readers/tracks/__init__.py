"""Readers of tracks that stand alone: GPX and NMEA, as recordings without pictures."""
