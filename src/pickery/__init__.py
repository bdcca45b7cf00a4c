"""Pickery: experiment-tracked training of Topaz particle pickers for cryo-EM.

For notebooks and scripts `prepare`, `fit`, `cross_validate`, `pick`, `score` and `simulate` do what the commands do
(`pickery.api`).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pickery.api import cross_validate, fit, pick, prepare, score, simulate

__all__ = ["__version__", "cross_validate", "fit", "pick", "prepare", "score", "simulate"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # late, so that the command line starts fast
    if name in __all__:
        from pickery import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
