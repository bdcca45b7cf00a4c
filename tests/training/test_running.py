import pytest
import torch

from pickery.training.running import RunningMeans, minibatch_figures


def test_minibatch_figures_are_those_of_the_definitions() -> None:
    scores, labels = torch.tensor([2.0, -1.0, 0.5, -3.0]), torch.tensor([1.0, 1.0, 0.0, 0.0])
    p = torch.sigmoid(scores)
    figures = minibatch_figures(scores, labels, pi=0.1, observed=0.02)
    assert figures["precision"] == pytest.approx(float((p[0] + p[1]) / p.sum()))
    assert figures["tpr"] == pytest.approx(float((p[0] + p[1]) / 2))
    assert figures["fpr"] == pytest.approx(float((p[2] + p[3]) / 2))
    expected = torch.nn.functional.binary_cross_entropy_with_logits(scores, labels)
    assert figures["loss"] == pytest.approx(float(expected))


def test_a_perfect_classifier_of_all_particles_has_adjusted_precision_one() -> None:
    # of 900 unlabeled regions, 90 are particles nobody labelled
    labels = torch.cat([torch.ones(100), torch.zeros(900)])
    scores = torch.where(torch.arange(1000) < 190, 40.0, -40.0)
    observed = 0.02
    pi = observed + (1 - observed) * 0.1
    figures = minibatch_figures(scores, labels, pi=pi, observed=observed)
    assert figures["adjusted_precision"] == pytest.approx(1.0, rel=1e-5)


def test_means_are_over_the_minibatches_since_the_last_call() -> None:
    means = RunningMeans()
    for value in (1.0, 2.0, 6.0):
        means.add({"a": torch.tensor(value)})
    assert means.pop() == {"a": 3.0}
    means.add({"a": torch.tensor(5.0)})
    assert means.pop() == {"a": 5.0}


def test_known_negatives_take_no_part_in_the_training_figures() -> None:
    scores, labels = torch.tensor([2.0, -1.0, 7.0, 0.5, 3.0, -3.0]), torch.tensor([1.0, 1.0, -1.0, 0.0, -1.0, 0.0])
    without = minibatch_figures(scores[labels >= 0], labels[labels >= 0], pi=0.1, observed=0.02)
    figures = minibatch_figures(scores, labels, pi=0.1, observed=0.02, is_partial=True)
    for name, value in without.items():
        torch.testing.assert_close(figures[name], value)
