"""Readers of drawings and documents with places in them: KML, GML, DXF."""
