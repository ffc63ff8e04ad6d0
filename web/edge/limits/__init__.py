"""How much one caller may ask: of what costs, and how often."""
