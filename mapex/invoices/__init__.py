"""Tax invoices: what stands on them of each organisation, of orders, settlements and refunds, and their forms for the tax office."""
