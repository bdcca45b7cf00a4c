"""`pickery doctor`: the settings of a training in, what it would meet out, before it starts."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from pickery.config.schema import DoctorConfig
from pickery.errors import InputError
from pickery.terminal import Terminal
from pickery.training.listener import warnings_to

if TYPE_CHECKING:
    from pickery.doctor.findings import Finding


def run(config: DoctorConfig) -> None:
    """Examine, and tell of it.

    Raises
    ------
    InputError
        When there is a fault: a training on this is in vain.
    """
    from pickery.doctor.examine import examine
    from pickery.doctor.record import folder_for, write
    from pickery.training.inputs import simulated_data

    with Terminal() as terminal, warnings_to(terminal):
        folder = folder_for(config)
        done = examine(config, folder, terminal, simulated=simulated_data(config, terminal))
        terminal.rest()
        report = done.report
        for heading, text in report.lines:
            terminal.say(f"{heading:<12} {text}")
        for finding in report.findings:
            if finding.level == "fault":
                terminal.head(f"{'FAULT':<12} {finding}")
            else:
                terminal.say(f"{'advice':<12} {finding}")
        record = write(folder, report)
        terminal.say(f"{'written':<12} {', '.join(str(path) for path in (record, *done.pictures))}")
        if not report.faults:
            terminal.head("nothing stands in the way of a training")
            return
    raise InputError(_verdict(report.faults))


def _verdict(faults: list[Finding]) -> str:
    """Count the faults, and say which settings mend them, or those of them that settings mend."""
    count, mended = len(faults), [finding for finding in faults if finding.settings]
    words = shlex.join(dict.fromkeys(word for finding in mended for word in finding.settings))
    said = f"{count} fault{'s' if count > 1 else ''}"
    if not mended:
        return said
    which = "" if len(mended) == count else f"{len(mended)} of them mended by "
    return f"{said}; {which}the same command with {words}"
