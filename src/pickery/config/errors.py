"""What goes wrong with settings. Imports nothing heavy."""

from collections.abc import Sequence

from pickery.errors import InputError


class ConfigError(InputError):
    """One or more settings cannot be used; nothing was read or written yet.

    Attributes
    ----------
    problems
        One plain sentence or two for each thing that is wrong. The message lists them, one a line.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type["ConfigError"], tuple[tuple[str, ...]]]:
        """Travel between the processes of a sweep."""
        return type(self), (self.problems,)
