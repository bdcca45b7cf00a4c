"""The help pages, made from the commands, the values in conf/ and the meanings in the schema."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pickery.config.commands import COMMANDS, NAMES
from pickery.config.errors import ConfigError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_OWN_DATA = "data.micrographs=micrographs data.picks=picks.star data.expected_particles=400"
_EXAMPLES: Mapping[str, Sequence[tuple[str, str]]] = {
    "train": (
        ("pickery train", "on simulated micrographs, to see it work"),
        (f"pickery train {_OWN_DATA}", "on your own: a folder, its picks, and how many particles a micrograph holds"),
        (
            f"pickery train {_OWN_DATA} preprocess.downsample=8 model=resnet16",
            "with other settings than the default ones",
        ),
        (f"pickery train --multirun {_OWN_DATA} loss=pu,ge_binomial", "several trainings, one after the other"),
        (
            f"pickery train {_OWN_DATA} engine=topaz engine.executable=/path/to/topaz",
            "the same training by the original Topaz, tracked beside the others",
        ),
        (f"pickery train --cfg job {_OWN_DATA}", "print all settings instead of training"),
    ),
    "cross-validate": (
        ("pickery cross-validate", "three learning rates on simulated micrographs, to see it work"),
        (
            f"pickery cross-validate {_OWN_DATA} cross_validation.parameter=learning_rate "
            "cross_validation.initial=0.0001 cross_validation.increment=0.0001 cross_validation.times=3 "
            "cross_validation.folds=2",
            "0.0001, 0.0002 and 0.0003 on two folds each, then the best on the ordinary split: seven trainings",
        ),
        (
            f"pickery cross-validate {_OWN_DATA} cross_validation.parameter=radius 'cross_validation.values=[2,3,4]' "
            "evaluation.monitor=pick_average_precision evaluation.extraction_radius=12",
            "radii, compared by what is picked with them",
        ),
        (
            f"pickery cross-validate {_OWN_DATA} 'cross_validation.parameter=[learning_rate,l2]' "
            "'cross_validation.values=[[0.0001,0.001],[0,0.01]]' cross_validation.workers=2",
            "two settings in every combination, two trainings at a time",
        ),
    ),
    "doctor": (
        (
            f"pickery doctor {_OWN_DATA} data.particle_diameter=150",
            "do the picks sit on particles? are the sizes right? how long will it take?",
        ),
        (
            "pickery doctor data.micrographs=micrographs data.picks=picks.star doctor.measure=false",
            "what is known before the particles are counted, in a few seconds",
        ),
    ),
    "pick": (
        (
            "pickery pick picking.model=runs/train-mine data.micrographs=micrographs picking.out=picks.star",
            "with the model of a run; preprocessing and threshold are the model's own",
        ),
        (
            "pickery pick picking.model=resnet16_u64 picking.downsample=8 picking.threshold=0 "
            "data.particle_diameter=180 data.micrographs=micrographs picking.out=picked picking.format=box",
            "with one of Topaz's own detectors, one file a micrograph",
        ),
        (
            "pickery pick picking.model=models:/mine@best data.micrographs=exposures.cs picking.out=picks.cs "
            "picking.threshold=-1 picking.pictures=5",
            "with a registered model, for CryoSPARC; picks of another threshold take no scoring again",
        ),
    ),
    "score": (
        (
            "pickery score score.picks=picks.star score.truth=manual.star score.radius=20",
            "the picks of any program against particles picked by hand",
        ),
    ),
    "convert": (
        (
            "pickery convert picks.txt picks.star convert.coordinate_scale=8",
            "Topaz's table of micrographs shrunk by 8",
        ),
        ("pickery convert picks.star picks.cs convert.micrographs=exposures.cs", "for CryoSPARC, with its ids"),
        ("pickery convert runs/train-mine/model.ckpt model.sav", "for topaz extract"),
    ),
    "preprocess": (
        ("pickery preprocess data.micrographs=micrographs preprocess.downsample=8", "a folder of micrographs"),
        (
            "pickery preprocess 'data.micrographs=day1/*.mrc' preprocess.write_mrc=true",
            "a glob, in quotes; MRC files as well",
        ),
    ),
    "simulate": (
        ("pickery simulate simulation.out=simulated", "a small data set with known particles"),
        (
            "pickery simulate simulation.out=hard simulation.signal_to_noise=0.02 simulation.micrographs=50",
            "a larger, harder one",
        ),
    ),
    "report": (
        ("pickery report runs/train-mine", "one page, in the run's folder and with the tracked run"),
        ("pickery report runs/train-mine report.out=for_the_group.html", "a copy elsewhere"),
    ),
    "ui": (("pickery ui", "then open the address that it prints"),),
}
_TRAINING = ("train", "cross-validate", "doctor")
_FLAGS = (
    (
        "-m, --multirun",
        "run once for every combination of comma-separated values",
        (*_TRAINING, "preprocess", "simulate"),
    ),
    (
        "--cfg job",
        "print the settings and end; with --resolve, references are followed; with --package GROUP, one group",
        COMMANDS,
    ),
    ("--info", "print how the settings came about", COMMANDS),
    ("--config-dir FOLDER", "a folder of your own experiment/NAME.yaml files, for experiment=NAME", _TRAINING),
    ("--help [NAME ...]", "this page, or only these groups and settings", COMMANDS),
)
_COMPLETION = (
    ("bash", """echo 'eval "$(pickery --completion bash)"' >> ~/.bashrc"""),
    ("zsh", """echo 'eval "$(pickery --completion zsh)"' >> ~/.zshrc"""),
    ("fish", "pickery --completion fish > ~/.config/fish/completions/pickery.fish"),
)


class Page:
    """Lines of text that fit a width, some of them in bold or faint where the terminal can show it."""

    def __init__(self, width: int | None = None, *, styled: bool | None = None) -> None:
        terminal = sys.stdout.isatty()
        self.width = width or max(40, min(100, shutil.get_terminal_size((80, 24)).columns if terminal else 80))
        plain = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
        self._styled = styled if styled is not None else terminal and not plain
        self._lines: list[str] = []

    def bold(self, text: str) -> str:
        """Mark text as the name of something."""
        return f"\033[1m{text}\033[0m" if self._styled else text

    def faint(self, text: str) -> str:
        """Mark text as of second rank."""
        return f"\033[2m{text}\033[0m" if self._styled else text

    def line(self, text: str = "") -> None:
        """Add a line as it is."""
        self._lines.append(text)

    def wrapped(self, text: str, indent: int) -> None:
        """Add text, broken into lines between words."""
        space = " " * indent
        self._lines += textwrap.wrap(
            text,
            self.width,
            initial_indent=space,
            subsequent_indent=space,
            break_long_words=False,
            break_on_hyphens=False,
        )

    def command_line(self, text: str) -> None:
        """Add a command line, broken as a shell would read it."""
        broken = textwrap.wrap(text, self.width - 6, break_long_words=False, break_on_hyphens=False)
        for number, part in enumerate(broken):
            last = number == len(broken) - 1
            self.line(("  " if number == 0 else "      ") + self.bold(part) + ("" if last else " \\"))

    def comment(self, text: str) -> None:
        """Add what a command line does, as a shell would pass over it."""
        for part in textwrap.wrap(text, self.width - 4, break_long_words=False, break_on_hyphens=False):
            self.line(self.faint(f"  # {part}"))

    def table(self, rows: Sequence[tuple[str, str]], indent: int = 2) -> None:
        """Add names and their meanings in two columns."""
        column = min(max(len(name) for name, _ in rows), 28) + 2 + indent
        for name, meaning in rows:
            lines = textwrap.wrap(meaning, max(20, self.width - column), break_on_hyphens=False) or [""]
            if len(name) + indent + 2 > column:
                self.line(" " * indent + self.bold(name))
            else:
                gap = " " * (column - indent - len(name))
                self.line(f"{' ' * indent}{self.bold(name)}{gap}{lines.pop(0)}".rstrip())
            self._lines += [" " * column + part for part in lines]

    def __str__(self) -> str:
        """Give the page."""
        return "\n".join(self._lines)


def overview(width: int | None = None, *, styled: bool | None = None) -> str:
    """Give the page of `pickery --help`."""
    page = Page(width, styled=styled)
    page.line("Trains Topaz particle pickers for cryo-EM, and records every run.")
    page.line()
    page.command_line("pickery COMMAND [group=option] [group.key=value] ...")
    page.line()
    page.line("Commands")
    page.table(list(COMMANDS.items()))
    page.line()
    page.line("Help")
    page.table([("pickery COMMAND --help", "all settings of a command"), ("pickery --version", "the version")])
    page.line()
    page.wrapped("The Tab key completes commands, groups, settings and their values after, once:", 0)
    for shell, line in _COMPLETION:
        page.line(f"  {shell:<6}{page.bold(line)}")
    return str(page)


def command_help(
    command: str, names: Sequence[str] = (), width: int | None = None, *, styled: bool | None = None
) -> str:
    """Give the page of `pickery COMMAND --help`.

    Parameters
    ----------
    command
        One of `COMMANDS`.
    names
        Groups and settings to which the page is to be confined; empty for all.
    width
        Columns; None for those of the terminal.
    styled
        Whether to use bold and faint letters; None for where the terminal shows them.

    Raises
    ------
    ConfigError
        When a name is neither a group nor a setting of the command.
    """
    from pickery.config import catalogue

    page = Page(width, styled=styled)
    if not names:
        _introduce(page, command)
    shown = _shown(command, names)
    groups = catalogue.groups(command)
    for group in dict.fromkeys(key.rpartition(".")[0] for key in shown):
        _group(page, command, group, groups[group].__doc__ if group else None, shown)
    if not names or "experiment" in names:
        _experiments(page, command)
    return str(page).strip("\n")


def _introduce(page: Page, command: str) -> None:
    page.wrapped(f"pickery {command}: {COMMANDS[command]}.", 0)
    page.line()
    page.command_line(" ".join(("pickery", command, *NAMES.get(command, ()), "[group=option] [group.key=value] ...")))
    page.line()
    page.line("Examples")
    for line, meaning in _EXAMPLES[command]:
        page.comment(meaning)
        page.command_line(line)
    page.line()
    page.line("Options")
    page.table([(flag, meaning) for flag, meaning, commands in _FLAGS if command in commands])


def _shown(command: str, names: Sequence[str]) -> dict[str, FieldInfo]:
    from pickery.config import catalogue, explain

    known = catalogue.settings(command)
    if not names:
        return dict(known)
    found: dict[str, FieldInfo] = {}
    problems = []
    for name in names:
        inside = {key: field for key, field in known.items() if key == name or key.startswith(f"{name}.")}
        if not inside and name not in catalogue.choosable(command):
            problems.append(explain.unknown(command, name))
        found |= inside
    if problems:
        raise ConfigError(problems)
    return found


def _group(page: Page, command: str, group: str, meaning: str | None, shown: Mapping[str, FieldInfo]) -> None:
    from pickery.config import catalogue

    page.line()
    page.line(f"{page.bold(group)}: {_lower(meaning)}" if group and meaning else page.bold("Without a group"))
    whole = all(key in shown for key in catalogue.settings(command) if key.startswith(f"{group}."))
    if whole and group in catalogue.choosable(command):
        page.table(list(_options(command, group)))
    for key, field in shown.items():
        if key.rpartition(".")[0] == group:
            _setting(page, key, field)


def _options(command: str, group: str) -> Iterator[tuple[str, str]]:
    from pickery.config import catalogue

    default = catalogue.choosable(command)[group]
    for option in catalogue.options(group):
        brings = ", ".join(f"{key}={value}" for key, value in catalogue.brings(command, group, option).items())
        meaning = catalogue.comment(group, option) + (f" Brings {brings}." if brings else "")
        yield f"{group}={option}", meaning + (" (default)" if option == default else "")


def _setting(page: Page, key: str, field: FieldInfo) -> None:
    from pickery.config.schema.base import as_word, kind

    default = f"{key}={as_word(field.default)}"
    takes = f"({kind(field)})"
    if len(default) + len(takes) + 4 <= page.width:
        page.line(f"  {page.bold(default)}  {page.faint(takes)}")
    else:
        page.line(f"  {page.bold(default)}")
        page.wrapped(takes, 6)
    page.wrapped(field.description or "", 6)


def _experiments(page: Page, command: str) -> None:
    from pickery.config import catalogue

    if "experiment" not in catalogue.choosable(command):
        return
    page.line()
    page.line(f"{page.bold('experiment')}: named sets of settings; one of your own needs --config-dir")
    page.table(
        [(f"experiment={name}", catalogue.comment("experiment", name)) for name in catalogue.options("experiment")]
    )


def _lower(text: Any) -> str:
    words = str(text).strip().rstrip(".")
    return words[:1].lower() + words[1:]
