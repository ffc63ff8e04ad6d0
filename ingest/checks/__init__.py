"""What is checked of rows, inside the cage: what cannot be kept is screened out, the rest is reported on."""
