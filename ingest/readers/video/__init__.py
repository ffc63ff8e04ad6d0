"""Video of cameras that know where they were, or with a track beside it."""
