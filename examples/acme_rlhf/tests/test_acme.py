"""Two public checks say whether all of this keeps the contract."""

from __future__ import annotations

import acme_rlhf

from rlhf_core.testing import check_component, check_plugin


def test_the_plugin_keeps_the_contract() -> None:
    check_plugin("acme_rlhf")
    for component in acme_rlhf.rlhf_components():
        check_component(component)
