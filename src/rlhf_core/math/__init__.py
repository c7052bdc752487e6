"""Pure functions on tensors and texts: no I/O, no randomness, no devices, no configuration. Each names its source."""
