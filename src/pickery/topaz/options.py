"""From plain values to the words of `topaz train`; a word that the program does not know is refused by its setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pickery.errors import InputError
from pickery.topaz.program import TopazProgram

OBJECTIVES = {"pn": "PN", "pu": "PU", "ge_kl": "GE-KL", "ge_binomial": "GE-binomial"}
POOLINGS = {"max": "max", "average": "avg"}


@dataclass(frozen=True)
class Option:
    """A word of `topaz train` and its value.

    Attributes
    ----------
    word
        Such as ``--pi``.
    value
        Written as it is; None for a word that stands alone.
    setting
        The setting that asks for it, for messages.
    needed
        Whether it says something that the program would not do without it. One that is not is left out where the
        program does not know it.
    """

    word: str
    value: str | int | float | None
    setting: str
    needed: bool = True


def command(program: TopazProgram, options: Sequence[Option]) -> list[str]:
    """Put together the command line.

    Raises
    ------
    InputError
        When the program does not know a word that is needed: its setting is named.
    """
    words = [program.path, "train"]
    for option in options:
        if option.word in program.options:
            words += [option.word] if option.value is None else [option.word, _word(option.value)]
        elif option.needed:
            raise InputError(
                f"{option.setting} cannot be used with {program.name}, whose `topaz train` has no {option.word}: leave "
                f"it out, give a newer program (engine.executable), or write engine=native"
            )
    return words


def network(settings: Mapping[str, str | int | float | bool]) -> list[Option]:
    """Describe a network whose first weights Topaz draws itself.

    Parameters
    ----------
    settings
        As `pickery.model.build_model` takes them.
    """
    options = [
        Option("--model", str(settings["architecture"]), "model"),
        Option("--units", int(settings["units"]), "model.units"),
        Option("--unit-scaling", int(settings["unit_scaling"]), "model.unit_scaling"),
        Option("--bn", "on" if settings["batch_norm"] else "off", "model.batch_norm"),
    ]
    if settings["pooling"] in POOLINGS:  # for conv networks Topaz takes its own "none" for the name of a layer
        options.append(Option("--pooling", POOLINGS[str(settings["pooling"])], "model.pooling"))
    return options


def _word(value: str | int | float) -> str:
    return repr(value) if isinstance(value, float) else str(value)
