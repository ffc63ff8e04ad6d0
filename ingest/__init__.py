"""Ingest: readers, placing, checks and the pipeline that turns an upload into tiles."""
