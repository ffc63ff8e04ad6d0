"""Uploads, placements and jobs: what comes in before it is a draft."""
