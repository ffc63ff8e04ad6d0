"""Outside the cage: files are laid out for it, conversions started in it, answers joined. Never opens a file of a sender."""
