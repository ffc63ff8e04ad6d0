"""Tiles as files of other tools: a table of formats, and rooms of the writers of features and of points."""
