"""Standard output for one answer: PyKCS11 prints there what ails a library, and a vendor's library may too."""

from __future__ import annotations

import os
from typing import TextIO


def reserve() -> TextIO:
    """Return standard output, and send to standard error whatever else is written to it from now on."""
    kept = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return kept
