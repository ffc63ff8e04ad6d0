"""The reader of Lanelet2 maps in OSM XML."""
