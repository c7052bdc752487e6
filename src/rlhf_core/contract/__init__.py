"""What a plugin author may import. Everything here is light: no torch is imported at run time.

One module per noun; this page re-exports nothing heavy. Import from the module (``contract.trainer``) or, for
the common names, from :mod:`rlhf_core`.
"""
