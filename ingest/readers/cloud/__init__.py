"""Readers of point clouds: LAS, LAZ, PCD, PLY."""
