"""The one training loop, for offline and online trainers alike: it owns *when*, a trainer owns *what*."""
