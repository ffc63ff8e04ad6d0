"""The API of persons, permits and the log."""
