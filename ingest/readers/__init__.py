"""Readers, one module per family of formats; `ingest.reader` chooses among them."""
