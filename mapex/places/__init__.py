"""Places of Korea: divisions with names and boundaries, their names in Latin letters, and the map of them below every other map."""
