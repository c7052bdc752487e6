"""The plugins that come with rlhf_core. Each imports `rlhf_core.contract` and `rlhf_core.math` only."""
