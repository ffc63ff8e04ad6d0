"""All tests, and what they share (`tests.support`)."""
