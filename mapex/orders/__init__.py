"""Orders, their terms and lines, renewals and updates; the ledger, refunds, settlements."""
