"""How numbers are written: as exact decimals, the way people type them. Imports nothing of ours."""

from __future__ import annotations

import math
from decimal import Decimal

Number = int | float


def word(value: Number) -> str:
    """Write a number as a person would: ``0.0001``, not ``1e-04``; ``3``, not ``3.0``; ``1e-9`` when very small.

    It reads back as the same number.
    """
    if isinstance(value, int) or not math.isfinite(value):
        return str(value)
    exact = Decimal(repr(float(value))).normalize()
    if exact == 0:
        return "0"
    if -7 <= exact.adjusted() <= 15:
        return f"{exact:f}"
    return f"{exact:e}".replace("e+", "e")
