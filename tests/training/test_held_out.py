import numpy as np
import pytest
import torch

from pickery.data.regions import label_map
from pickery.evaluation.metrics import region_metrics
from pickery.evaluation.score_map import score_map
from pickery.model import build_model
from pickery.training.held_out import HeldOutEvaluation, PickLevel, evaluate

SHAPE, RADIUS = (60, 72), 2
POINTS = [np.array([[20.0, 30.0], [50.0, 12.0]]), np.array([[10.0, 10.0]])]
IMAGES = [np.random.default_rng(i).normal(size=SHAPE).astype(np.float32) for i in range(2)]
LABELS = [label_map(points, SHAPE, RADIUS) for points in POINTS]
MODEL = build_model("conv31", units=4, seed=1).eval()


def judge(stride: int, picks: PickLevel | None = None) -> HeldOutEvaluation:
    return HeldOutEvaluation(names=("a", "b"), points=POINTS, stride=stride, pi=0.02, picks=picks)


def test_figures_on_every_region_are_the_definitions() -> None:
    scores = np.concatenate([np.asarray(score_map(MODEL, image)).ravel() for image in IMAGES])
    labels = np.concatenate([label.ravel() for label in LABELS])
    expected = region_metrics(scores, labels, pi=0.02, observed=float(labels.mean()))
    figures = evaluate(MODEL, judge(1), IMAGES, LABELS)
    assert figures["auprc"] == expected.auprc
    assert figures["precision"] == pytest.approx(expected.precision, rel=1e-12)


def test_a_stride_takes_exact_scores_of_fewer_regions() -> None:
    full = [np.asarray(score_map(MODEL, image)) for image in IMAGES]
    scores = np.concatenate([scores[::4, ::4].ravel() for scores in full])
    labels = np.concatenate([label[::4, ::4].ravel() for label in LABELS])
    expected = region_metrics(scores, labels, pi=0.02, observed=float(labels.mean()))
    assert evaluate(MODEL, judge(4), IMAGES, LABELS)["precision"] == pytest.approx(expected.precision, rel=1e-5)


def test_pick_level_does_not_change_region_level() -> None:
    picks = PickLevel(extraction_radius=4, match_radius=4, score_threshold=-6)
    judged = judge(4, picks)
    with_picks = evaluate(MODEL, judged, IMAGES, LABELS)
    assert {"pick_average_precision", "pick_f1"} <= set(with_picks)
    assert judged.pick_metrics is not None
    assert judged.pick_metrics.targets == 3
    without = evaluate(MODEL, judge(4), IMAGES, LABELS)
    for name, value in without.items():
        assert with_picks[name] == pytest.approx(value, rel=1e-4), name


def test_the_order_of_the_micrographs_does_not_matter() -> None:
    picks = PickLevel(extraction_radius=4, match_radius=4, score_threshold=-6)
    one, other = judge(1, picks), judge(1, picks)
    with torch.inference_mode():
        for index in (0, 1):
            one.add(MODEL, torch.from_numpy(IMAGES[index]), torch.from_numpy(LABELS[index]), index)
        for index in (1, 0):
            other.add(MODEL, torch.from_numpy(IMAGES[index]), torch.from_numpy(LABELS[index]), index)
    first, second = one.result(), other.result()
    for name in first:
        assert first[name] == second[name], name


def test_a_second_evaluation_begins_anew() -> None:
    judged = judge(4)
    assert evaluate(MODEL, judged, IMAGES, LABELS) == evaluate(MODEL, judged, IMAGES, LABELS)


MASK = np.zeros(SHAPE, bool)
MASK[:, :30] = True


@pytest.mark.parametrize("stride", [1, 4])
def test_masked_regions_are_left_out_of_the_figures_and_nothing_is_picked_there(stride: int) -> None:
    picks = PickLevel(extraction_radius=4, match_radius=4, score_threshold=-6)

    def mask(index: int) -> np.ndarray | None:
        return MASK if index == 0 else None

    points = [POINTS[0][1:], POINTS[1]]  # the first pick lies in the mask
    labels = [LABELS[0] & ~MASK, LABELS[1]]
    judged = HeldOutEvaluation(names=("a", "b"), points=points, stride=stride, pi=0.02, picks=picks, mask=mask)
    figures = evaluate(MODEL, judged, IMAGES, labels)
    full = [np.asarray(score_map(MODEL, image))[::stride, ::stride] for image in IMAGES]
    kept = [~MASK[::stride, ::stride], np.ones_like(full[1], bool)]
    scores = np.concatenate([scores[keep] for scores, keep in zip(full, kept, strict=True)])
    wanted = np.concatenate([label[::stride, ::stride][keep] for label, keep in zip(labels, kept, strict=True)])
    expected = region_metrics(scores, wanted, pi=0.02, observed=float(wanted.mean()))
    assert figures["auprc"] == expected.auprc
    assert figures["precision"] == pytest.approx(expected.precision, rel=1e-12)
    assert judged.pick_metrics is not None
    assert judged.pick_metrics.targets == 2
    found = judged.candidates[0].points
    assert len(found)
    assert (found[:, 0] >= 30).all()
    assert (judged.candidates[1].points[:, 0] < 30).any()
