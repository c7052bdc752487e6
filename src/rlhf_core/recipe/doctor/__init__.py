"""What `rlhf doctor` finds, of the machine, the installation and runs. It changes nothing and uses no network."""
