"""All detectors, by the name of their alarm."""

from __future__ import annotations

from collections.abc import Mapping

from .finding import Detector

DETECTORS: Mapping[str, Detector] = {}
