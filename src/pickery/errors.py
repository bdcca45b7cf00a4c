"""What every room may raise: errors that are the user's to mend, and the warnings that stand beside them.

Imports nothing, so that any room may import it.
"""


class InputError(ValueError):
    """Something that the user gave cannot be used.

    The message is one plain sentence or two: what is wrong, what was got, and how to mend it, naming the file or the
    setting in the words of the command line. It is shown without a traceback.
    """


class RunFolderError(InputError):
    """What lies in a run's folder cannot be gone on with, whatever the settings are: damaged, or of another run."""


class PickeryWarning(UserWarning):
    """Something that the user should know but that stops nothing."""
