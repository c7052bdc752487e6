"""One thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "alarm", "problem"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was seen of a subject.

    Args:
        area: the heading that it stands under.
        level: ``problem`` where something will fail or has failed, ``alarm`` where a training shows signs of going
            wrong, ``note`` where somebody may want to know.
        mend: what to do about it; empty where all is well.
    """

    area: str
    subject: str
    says: str
    level: Level = "ok"
    mend: str = ""
