"""`mapex demo`: an exchange with a made-up district."""
