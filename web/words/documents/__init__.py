"""Texts of several pages: the guides of the help, and the README of a download."""
