"""What a person sees of a cross-validation: a line a training, and beneath it the table as it fills."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pickery.terminal.training import Terminal, duration

if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live

    from pickery.cross_validation.study.points import Standing
    from pickery.cross_validation.study.presence import Present
    from pickery.cross_validation.watch import View


class CrossValidationTerminal(Terminal):
    """Tells of a cross-validation (a `pickery.cross_validation.watch.Audience`)."""

    _live: Live | None = None
    _warned: frozenset[str] = frozenset()

    def view(self, view: View) -> None:
        """Show the table, who trains what, and the time left."""
        if self._plain:
            return
        super().rest()
        if self._live is None:
            from rich.live import Live

            self._live = Live(console=self._console, transient=True, auto_refresh=False)
            self._live.start()
        self._live.update(self._picture(view), refresh=True)

    def trained(self, number: int, name: str, standing: Standing, view: View) -> None:
        """Say a training's figures in a line."""
        known, monitor = standing.attributes, view.table.monitor
        for text in known.get("warnings", ()):
            if text not in self._warned:
                self._warned |= {text}
                self.warn(f"{name}: {text}")
        line = f"{number:>3} of {view.trainings}  {name}: "
        if standing.state == "failed":
            self.say(line + f"failed: {standing.reason}")
            return
        line += f"{monitor} {standing.monitored:.3f} at epoch {known['best_epoch']} of {known['epochs']}"
        figures = {"auprc": "auprc", "pick_average_precision": "pick AP"}
        for figure, words in figures.items():
            value = known["figures"].get(figure)
            if value is not None and figure != monitor:
                line += f", {words} {value:.3f}"
        self.say(line)

    def rest(self) -> None:
        """Take the display away."""
        super().rest()
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _picture(self, view: View) -> Group:
        from rich.console import Group
        from rich.text import Text

        lines = [Text(line, no_wrap=True, overflow="ellipsis") for line in ("", *view.table.lines(), "")]
        doing = [text for text in map(_doing, view.running) if text is not None]
        lines += [Text(text, no_wrap=True, overflow="ellipsis", style="cyan") for text in doing]
        last = f"{view.finished} of {view.trainings} trainings done"
        if view.left_s is not None:
            last += f", about {duration(view.left_s)} left"
        return Group(*lines, Text(last, style="bold"))


BAR = 16


def _doing(worker: Present) -> str | None:
    """Say what a worker does; nothing of one that is between trainings, or leaves them to others."""
    known = worker.progress
    name = known.get("training")
    if known.get("doing") == "waiting":
        return "waiting for the others"
    if name is None:
        return None
    part, epoch = float(known.get("part", 0.0)), int(known.get("epoch", 0))
    full = round(part * BAR)
    where = f"epoch {epoch} of {known['epochs']}, {known['doing']}" if epoch else str(known.get("doing", "starting"))
    return f"{'━' * full}{'╌' * (BAR - full)} {name}: {where}"
