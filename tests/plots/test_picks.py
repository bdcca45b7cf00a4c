import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import EllipseCollection
from matplotlib.colors import to_rgb
from scipy.ndimage import gaussian_filter

from pickery.plots import plot_picked, plot_picks, save_figure
from pickery.plots.picks import EXTRAS, HITS, MISSES

RNG = np.random.default_rng(0)
IMAGE = RNG.normal(size=(60, 80)).astype(np.float32)


def circles(figure, name):
    (found,) = [one for one in figure.axes[0].collections if one.get_label().startswith(name)]
    assert isinstance(found, EllipseCollection)
    return found


def legend(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def drawn(figure, tmp_path):
    save_figure(figure, tmp_path / "plot.png", dpi=40)
    return figure


def test_each_pick_is_circled_in_its_place_and_counted(tmp_path):
    groups = {
        "found": RNG.uniform(0, 60, (7, 2)),
        "missed": RNG.uniform(0, 60, (3, 2)),
        "extra": RNG.uniform(0, 60, (5, 2)),
    }
    figure = drawn(plot_picks(IMAGE, *groups.values(), radius=4, smoothing_px=0, title="mic"), tmp_path)
    for name, points in groups.items():
        np.testing.assert_array_equal(circles(figure, name).get_offsets(), points)
    assert legend(figure) == ["7 found", "3 missed (labelled, not picked)", "5 extra (picked, not labelled)"]
    assert figure.axes[0].get_title(loc="left") == "mic"


def test_circles_have_their_size_and_place_in_pixels_of_the_image():
    figure = plot_picks(IMAGE, [[40, 30]], [], [], radius=10)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    (axes,) = figure.axes
    picture = np.asarray(canvas.buffer_rgba())[::-1, :, :3] / 255
    y, x = np.nonzero(np.abs(picture - to_rgb(HITS.colour)).max(axis=-1) < 0.02)
    drawn_at = axes.transData.inverted().transform(np.stack([x, y], axis=1) + 0.5)
    inside = drawn_at[drawn_at[:, 1] < 59]  # below the image lies the legend
    distance = np.hypot(*(inside - [40, 30]).T)
    assert len(distance) > 100
    assert 9.5 < distance.min() < distance.max() < 10.5


def test_the_groups_differ_in_colour_and_in_line():
    assert len({HITS.colour, MISSES.colour, EXTRAS.colour}) == 3
    assert len({HITS.dashes, MISSES.dashes, EXTRAS.dashes}) == 3


def test_row_0_is_at_the_top_and_the_frame_is_the_image():
    (axes,) = plot_picks(IMAGE, [[-20, -20]], [], [], radius=4).axes
    assert axes.get_xlim() == (-0.5, 79.5)
    assert axes.get_ylim() == (59.5, -0.5)


def test_contrast_ignores_a_few_hot_pixels():
    hot = IMAGE.copy()
    hot[:2, :3] = 1e6
    (axes,) = plot_picks(hot, [], [], [], radius=4, smoothing_px=0).axes
    low, high = axes.images[0].get_clim()
    assert -4 < low < high < 4


def test_smoothing_is_said_in_the_plot():
    figure = plot_picks(IMAGE, [], [], [], radius=8)
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), gaussian_filter(IMAGE, 1.0), rtol=1e-6)
    assert legend(figure)[-1] == "smoothed for display, σ = 1 px"
    plain = plot_picks(IMAGE, [], [], [], radius=8, smoothing_px=0)
    np.testing.assert_array_equal(plain.axes[0].images[0].get_array(), IMAGE)
    assert len(legend(plain)) == 3


@pytest.mark.parametrize(
    ("pixel", "words", "length"), [(6.0, "50 Å", 50 / 6), (12.3, "10 nm", 100 / 12.3), (0.1, "1 Å", 10)]
)
def test_the_scale_bar_has_a_round_length(pixel, words, length, tmp_path):
    figure = drawn(plot_picks(IMAGE, [], [], [], radius=4, pixel_size_angstrom=pixel), tmp_path)
    (bar,) = [artist for artist in figure.axes[0].artists if hasattr(artist, "size_bar")]
    assert bar.txt_label.get_text() == words
    assert bar.size_bar.get_children()[0].get_width() == pytest.approx(length)
    assert not plot_picks(IMAGE, [], [], [], radius=4).axes[0].artists


def test_degenerate_images_and_long_names_draw_without_a_warning(tmp_path):
    drawn(plot_picks(np.zeros((30, 30)), [], [], [], radius=3, title="name_" * 60), tmp_path)
    drawn(plot_picks(np.full((1, 1), 7.0), [[0, 0]], [], [], radius=0.5), tmp_path)
    drawn(plot_picks(IMAGE[:, :10], [], [[5, 5]], [], radius=3, pixel_size_angstrom=1.0), tmp_path)


def test_picks_alone_are_circled_and_what_was_left_out_is_shown(tmp_path, crowding):
    points = RNG.uniform(0, 60, (9, 2))
    left_out = np.zeros(IMAGE.shape, bool)
    left_out[:, :20] = True
    figure = drawn(
        plot_picked(IMAGE, points, radius=4, smoothing_px=0, left_out=left_out, pixel_size_angstrom=8), tmp_path
    )
    np.testing.assert_array_equal(circles(figure, "picks").get_offsets(), points)
    assert legend(figure) == ["9 picks", "left out"]
    shade = figure.axes[0].images[1].get_array()[..., 3]
    assert (shade > 0).tolist() == left_out.tolist()
    assert not crowding(figure)


@pytest.mark.parametrize("left_out", [None, np.zeros(IMAGE.shape, bool)])
def test_a_micrograph_without_picks_is_drawn(tmp_path, left_out):
    figure = drawn(plot_picked(IMAGE, np.zeros((0, 2)), radius=4, left_out=left_out), tmp_path)
    assert legend(figure)[0] == "0 picks"
