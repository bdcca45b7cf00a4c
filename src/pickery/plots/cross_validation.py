"""What each tested value of a setting reached in cross-validation: every fold, mean and standard error, the best."""

import math
import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pickery.decimals import word
from pickery.evaluation.names import AUPRC, PICK_AVERAGE_PRECISION, PRECISION
from pickery.plots.style import BEST, GREY, legend_above, new_figure, pickery_style
from pickery.plots.value_panel import PANEL_INCHES, Panel, Sheet, draw_panel
from pickery.plots.words import measured, setting_words

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

POINT_IS = "Each point in a fold's mark is one training: its best epoch, on that fold's held-out micrographs."
ONE_FOLD_IS = "Each point is one training: its best epoch, on the held-out micrographs."
MEAN_IS = (
    "Each point is the mean over folds of the best epochs, on held-out micrographs; "
    "with this many lines single folds are left out."
)
MIXED_IS = "* Its folds were trained with different objectives, or with another one than asked for."


def plot_cross_validation(
    values: ArrayLike,
    folds: ArrayLike,
    *,
    parameter: str | Sequence[str],
    monitor: str = PRECISION,
    best: int | None = None,
    beside: Mapping[str, ArrayLike] | None = None,
    unchanged: float | Sequence[float | None] | None = None,
    failed: Collection[int] = (),
    stopped: Collection[int] = (),
    mixed: Collection[int] = (),
    note: str = "",
) -> "Figure":
    """Plot what each tested value reached: every fold, the mean with its standard error, the best value marked.

    The monitored figure has the first panel; average precision over regions (precision, where that is the monitor
    itself) and of picks stand beside it. With one setting varied, a line joins the means of the values all of whose
    folds are there. With two, the second is the axis and each value of the first has a line; beyond five lines
    only means are drawn.

    Parameters
    ----------
    values : (n,) or (n, 1) or (n, 2)
        What was tested, in any order: a number, or a pair where two settings are varied.
    folds : (n, k)
        The monitored figure of each value and fold; nan where there is none (yet).
    parameter
        Name of the setting, or both names.
    monitor
        Name of the monitored figure (`pickery.evaluation.names.METRICS`).
    best
        Index of the best value; leave out while there is none.
    beside
        Other figures of the same trainings, (n, k) each, by name. Average precision and, in its place, precision are
        taken from here; what is missing or was never measured has no panel.
    unchanged
        Where the setting (each setting) stands without cross-validation; marked where it lies among the values.
    failed, stopped, mixed
        Indices of the values that failed in some fold, that were given up early (their folds trained shorter), and
        whose folds used different objectives.
    note
        Words to write beneath.
    """
    names = [parameter] if isinstance(parameter, str) else list(parameter)
    assert len(names) in (1, 2), "one setting is varied, or two"
    tested = np.asarray(values, dtype=np.float64).reshape(-1, len(names))
    given = {**(beside or {}), monitor: folds}
    wanted = (monitor, PRECISION if monitor == AUPRC else AUPRC, PICK_AVERAGE_PRECISION)
    panels = {name: _clean(given[name], len(tested)) for name in dict.fromkeys(wanted) if name in given}
    panels = {name: of for name, of in panels.items() if name == monitor or not np.isnan(of).all()}
    asked = [unchanged] if unchanged is None or isinstance(unchanged, int | float) else list(unchanged)
    assert len(asked) in (len(names), 1), f"{len(asked)} unchanged values of {len(names)} settings"
    sheet = Sheet(names, tested, best, asked, *(frozenset(of) for of in (failed, stopped, mixed)))
    with pickery_style():
        width = PANEL_INCHES * len(panels) + 0.4
        figure = new_figure(width, 5.4)
        figure.set_layout_engine("constrained", w_pad=0.12, wspace=0.03)
        shown: dict[str, Artist] = {}
        for number, (name, of) in enumerate(panels.items()):
            axes = figure.add_subplot(1, len(panels), number + 1)
            panel = Panel(axes, sheet, name, of, *_mean(of))
            draw_panel(panel, shown)
            if best is not None:
                _title(panel, first=number == 0)
        order = sorted(shown, key=lambda words: (not words.startswith("fold"), words.startswith("unchanged")))
        legend_above(figure, {words: shown[words] for words in order})
        notes = [
            MEAN_IS if not sheet.shows_folds else POINT_IS if panel.of.shape[1] > 1 else ONE_FOLD_IS,
            MIXED_IS if mixed else "",
            note,
        ]
        lines = [line for words in notes for line in textwrap.wrap(words, int(11.5 * width), break_on_hyphens=False)]
        figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=10.5, color=GREY)
        return figure


def _title(panel: Panel, *, first: bool) -> None:
    """Say above a panel which value is the best and what it reached; beside the first panel, shorter."""
    sheet = panel.sheet
    assert sheet.best is not None
    numbers = [word(value) for value in sheet.tested[sheet.best]]
    mean, error = float(panel.mean[sheet.best]), float(panel.error[sheet.best])
    reached = "not measured" if math.isnan(mean) else measured(mean, error)
    if first:
        pairs = [f"{setting_words(name)} {number}" for name, number in zip(sheet.names, numbers, strict=True)]
        words = "best: " + ",\n".join(pairs) + f"\n{reached}"
    else:
        words = f"at {', '.join(numbers)}: {reached}"
    panel.axes.set_title(words, color=BEST)


def _mean(of: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give mean and standard error over the folds that are there; nan with none, the error's with one too."""
    count = (~np.isnan(of)).sum(axis=1)
    mean = np.where(count > 0, np.nansum(of, axis=1) / np.maximum(count, 1), np.nan)
    squares = np.nansum((of - mean[:, None]) ** 2, axis=1)
    variance = np.where(count > 1, squares / np.maximum(count - 1, 1), np.nan)
    return mean, np.sqrt(variance / np.maximum(count, 1))


def _clean(given: ArrayLike, count: int) -> NDArray[np.float64]:
    of = np.asarray(given, dtype=np.float64)
    assert of.ndim == 2, f"results are (values, folds), not {of.shape}"
    assert len(of) == count, f"{of.shape} results for {count} values"
    return np.where(np.isfinite(of), of, np.nan)
