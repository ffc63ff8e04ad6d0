"""Pages before anybody is signed in: registration, a forgotten password, help."""
