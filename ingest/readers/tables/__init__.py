"""How formats store rows and types: tables of shapefiles, heads of FlatGeobuf, types of Parquet."""
