"""What lasts: run folders and checkpoints, each file written beside its place and then renamed."""
