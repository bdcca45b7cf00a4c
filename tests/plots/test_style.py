import stat
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread

from pickery.plots import plot_precision, save_figure
from pickery.plots.style import label_ends, new_figure, pickery_style


def test_no_plot_touches_pyplot_and_importing_the_room_is_light():
    code = (
        "import sys, pickery.plots as p\n"
        "assert 'matplotlib' not in sys.modules\n"
        "p.plot_precision([1], [0.5], best_epoch=1)\n"
        "p.plot_picks([[0.0, 1.0]], [], [], [], radius=1)\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_the_same_data_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        save_figure(plot_precision([1, 2], [0.1, 0.2], [0.1, 0.3], best_epoch=2), tmp_path / f"{name}.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_users_own_settings_neither_change_a_plot_nor_are_changed(tmp_path):
    save_figure(plot_precision([1, 2], [0.1, 0.2]), tmp_path / "plain.png")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black", "savefig.facecolor": "red"}):
        save_figure(plot_precision([1, 2], [0.1, 0.2]), tmp_path / "odd.png")
        assert matplotlib.rcParams["font.size"] == 30
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "odd.png").read_bytes()


def test_a_png_has_a_white_ground_the_size_asked_for_and_ordinary_permissions(tmp_path):
    path = tmp_path / "new" / "folder" / "plot.png"
    save_figure(new_figure(4, 3), path, dpi=50)
    picture = imread(path)
    assert picture.shape[:2] == (150, 200)
    assert (picture[..., :3] == 1).all()
    assert [file.name for file in path.parent.iterdir()] == ["plot.png"]
    (tmp_path / "ordinary").touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "ordinary").stat().st_mode)


def test_a_figure_that_cannot_be_drawn_leaves_the_old_file_and_no_rubbish(tmp_path):
    path = tmp_path / "plot.png"
    path.write_bytes(b"old")
    figure = new_figure(4, 3)
    figure.savefig = lambda *_, **__: 1 / 0
    with pytest.raises(ZeroDivisionError):
        save_figure(figure, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("values", [[0.5, 0.5], [0.0, 0.0, 0.01], [1.0, 1.0, 1.0], [0.2, 0.21, 0.9]])
def test_labels_at_line_ends_never_overlap_nor_leave_the_axes(values):
    with pickery_style():
        axes = new_figure(5, 3).add_subplot()
        axes.set_ylim(0, 1)
        label_ends(axes, [(value, f"line {number}", "black") for number, value in enumerate(values)], gap=0.08)
    heights = np.array([text.get_position()[1] for text in axes.texts])
    assert np.diff(heights).min() > 0.08 - 1e-9
    assert heights.min() >= 0
    assert heights.max() <= 1
