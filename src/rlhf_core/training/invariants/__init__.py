"""What must hold while training, whatever the algorithm: one invariant per file, and the suite that says when."""
