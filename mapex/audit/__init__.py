"""The audit log: entries, figures, flags, proofs, checkpoints."""
