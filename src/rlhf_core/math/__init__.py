"""Pure functions on tensors: no I/O, no randomness, no devices, no configuration. Each names its source."""
