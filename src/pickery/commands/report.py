"""`pickery report`: a run's folder in, one page that explains it out."""

from __future__ import annotations

from pathlib import Path

from pickery.config.schema import ReportConfig
from pickery.terminal import Terminal
from pickery.training.listener import warnings_to


def run(config: ReportConfig) -> None:
    """Write the page, and keep it with the tracked run, if there is one.

    Raises
    ------
    InputError
        There is no finished run.
    """
    from pickery.atomic import write_text
    from pickery.report.folder import read_run
    from pickery.report.page import render

    assert config.report.run is not None
    with Terminal() as terminal, warnings_to(terminal):
        found = read_run(Path(config.report.run).expanduser())
        out = found.path / "report.html" if config.report.out is None else Path(config.report.out).expanduser()
        if out.is_dir():
            out /= f"{found.path.name}.html"
        out.parent.mkdir(parents=True, exist_ok=True)
        write_text(out, render(found))
        terminal.head(f"written to {out}")
        tracked = found.summary.get("tracked_run")
        if not config.report.track or tracked is None:
            return
        terminal.working("keeping it with the tracked run")
        from pickery.tracking import keep_with_run

        problem = keep_with_run(str(tracked), out, root=Path(config.tracking.root), uri=config.tracking.uri)
        terminal.rest()
        if problem is None:
            terminal.say(f"kept with the tracked run {tracked} as well")
        else:
            terminal.warn(f"not kept with the tracked run {tracked}: {problem}")
