"""Settings: their meanings and ranges (`schema`), the rules across them (`rules`), and how they are read (`load`).

Knows Hydra and pydantic; never torch, MLflow or Lightning. Nothing is imported before it is asked for, so that the
command line answers at once.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pickery.config.load import check_sweep, flat, resolved, validate, with_value

__all__ = ["check_sweep", "flat", "resolved", "validate", "with_value"]


def __getattr__(name: str) -> Any:
    """Import what is asked for; `load.load` stays in its module, which has its name."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("pickery.config.load"), name)
