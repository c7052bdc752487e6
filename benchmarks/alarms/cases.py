"""All cases, in two halves: thresholds may be chosen by ``set``; ``held`` is read once, when all is fixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import former_cases
import held_cases
import set_cases
from case import Case, Half

CASES: Mapping[Half, Sequence[Case]] = {
    "set": set_cases.FAULTS + set_cases.HEALTHY + former_cases.FAULTS + former_cases.HEALTHY,
    "held": held_cases.FAULTS + held_cases.HEALTHY,
}
