"""Services and rules of the exchange: who may do what, what it costs, and what happened."""
