"""Pickery: experiment-tracked training of Topaz particle pickers for cryo-EM."""

__version__ = "0.1.0"
