"""The log read again from its first entry: each entry is what was committed to, and all of them together make the present state."""
