"""Who may read what: permits, entitlements, grants, named users."""
