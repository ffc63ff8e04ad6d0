"""Orders, their terms and lines, the ledger, renewals and updates."""
