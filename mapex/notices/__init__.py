"""Notices: what happened that a person wants to know of, once for each cause, in the pages and by mail, as the person chose."""
