"""What the operator looks at: fsck, invariants, the overview."""
