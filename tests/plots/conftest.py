"""What makes a figure hard to read, found on the figure as it is drawn."""

import itertools

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg


def crowded_words(figure):
    """Words that leave the figure, and pairs of words that touch."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    texts = [figure._supxlabel, figure._supylabel, *(text for legend in figure.legends for text in legend.get_texts())]
    for axes in figure.axes:
        texts += [*axes.texts, axes.xaxis.label, axes.yaxis.label, axes._left_title]
        for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            # a tick beyond the limits has a label too, which is not drawn
            texts += [tick.label1 for tick in axis.get_major_ticks() if min(limits) <= tick.get_loc() <= max(limits)]
    shown = [text for text in texts if text is not None and text.get_visible() and text.get_text().strip()]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in shown]
    width, height = figure.bbox.max
    outside = [words for words, box in boxes if min(box.x0, box.y0) < 0 or box.x1 > width or box.y1 > height]
    pairs = itertools.combinations(boxes, 2)
    return outside + [(first, second) for (first, box), (second, other) in pairs if box.overlaps(other)]


@pytest.fixture
def crowding():
    return crowded_words
