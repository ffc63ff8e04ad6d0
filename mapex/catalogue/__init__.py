"""Datasets and their versions: drafts, publication, differences, previews."""
