"""What a person sees: one display that changes in a terminal, plain lines in a pipe, and all lines in log.txt."""

from pickery.terminal.training import Terminal, duration

__all__ = ["Terminal", "duration"]
