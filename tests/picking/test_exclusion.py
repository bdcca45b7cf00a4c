import numpy as np
import pytest

from pickery.errors import InputError
from pickery.formats.masks import Mask
from pickery.picking.candidates import Candidates
from pickery.picking.exclusion import allowed, check_margin, left_out

SHAPE, FULL = (66, 83), (200, 251)
EVERYWHERE = Candidates(
    np.argwhere(np.ones(SHAPE))[:, ::-1].astype(np.int64), np.zeros(66 * 83, np.float32), SHAPE, FULL
)
CORNER = Mask("mic", FULL, polygons=(np.array([[-5.0, -5.0], [130, -5], [130, 120], [-5, 120]]),))


def test_nothing_is_left_out_without_a_margin_or_mask():
    assert len(allowed(EVERYWHERE, None, 0.0).scores) == len(EVERYWHERE.scores)
    assert left_out(None, 0.0, SHAPE, FULL) is None


def test_the_margin_is_in_full_size_pixels_and_no_wider_than_said():
    points = allowed(EVERYWHERE, None, 40).full_size()
    assert (points >= 40).all()
    assert (points <= (250 - 40, 199 - 40)).all()
    assert (points.min(axis=0) < 40 + 3.1).all()
    assert (points.max(axis=0) > (250 - 40 - 3.1, 199 - 40 - 3.1)).all()


def test_no_pick_in_a_mask_stays_and_every_other_does():
    kept = {tuple(point) for point in allowed(EVERYWHERE, CORNER, 0).full_size()}
    for x, y in EVERYWHERE.full_size():
        assert ((x, y) in kept) == (x >= 130 or y >= 120)


def test_picks_and_pictures_leave_out_the_same_but_for_the_edge():
    area = left_out(CORNER, 20, SHAPE, FULL)
    kept = np.zeros(SHAPE, bool)
    points = allowed(EVERYWHERE, CORNER, 20).points
    kept[points[:, 1], points[:, 0]] = True
    assert (kept == area).sum() <= 66 + 83


@pytest.mark.parametrize(("margin", "fits"), [(99, True), (100, False), (300, False)])
def test_a_margin_that_leaves_nothing_is_refused(margin, fits):
    if fits:
        check_margin(margin, FULL)
        return
    with pytest.raises(InputError, match="leaves nothing of a micrograph of 251 x 200 pixels"):
        check_margin(margin, FULL)
