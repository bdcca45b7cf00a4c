"""Objectives: scores and labels of a minibatch -> a number to minimise and its parts. Knows nothing of models.

With regions known to be negative, each of the four becomes (`pickery.loss.negatives`)::

    objective + negative_weight · w · mean_neg bce(s, 0),    w = pi for PN and PU, 1 for GE-KL and GE-binomial

where the objective itself is that of the positive and the unlabeled regions alone.
"""

from collections.abc import Callable

from torch import Tensor

from pickery.errors import InputError
from pickery.loss.ge_binomial import GeneralizedExpectationBinomial
from pickery.loss.ge_kl import GeneralizedExpectationKL
from pickery.loss.negatives import WithNegatives
from pickery.loss.pn import PositiveNegative
from pickery.loss.pu import PositiveUnlabeled
from pickery.loss.terms import LossTerms

OBJECTIVES = ("pn", "pu", "ge_kl", "ge_binomial")
DEFAULT_SLACK = {"ge_kl": 10.0, "ge_binomial": 1.0}
"""Slack of the objectives that have one, where `loss.slack=-1`."""

Objective = Callable[[Tensor, Tensor], LossTerms]

__all__ = ["DEFAULT_SLACK", "OBJECTIVES", "LossTerms", "Objective", "build_objective"]


def build_objective(name: str, *, pi: float, slack: float = -1, negative_weight: float | None = None) -> Objective:
    """Build an objective.

    Parameters
    ----------
    name
        One of `OBJECTIVES`.
    pi
        Expected fraction of positive regions (PN, PU) or of positives among the unlabeled ones (GE); used as given.
    slack
        Weight of the GE penalty; -1 is the objective's own (`DEFAULT_SLACK`). PN and PU have none.
    negative_weight
        Weight of a region known to be negative against that of a positive one; None where there are none.

    Returns
    -------
    A function of scores (b,) and labels (b,), which are 1 (positive), 0 (unlabeled) or -1 (negative), that gives
    `LossTerms`. It makes no device wait for the host.

    Raises
    ------
    InputError
        For an unknown name, or a pi, slack or weight out of range.
    """
    if not 0 < pi < 1:
        raise InputError(f"pi = {pi:g} must lie between 0 and 1: see data.expected_particles and data.radius.")
    if slack < 0 and slack != -1:
        raise InputError(f"loss.slack={slack:g} must be at least 0, or -1 for the objective's own.")
    if negative_weight is not None and negative_weight < 0:
        raise InputError(f"loss.negative_weight={negative_weight:g} must be at least 0.")
    objective: Objective
    match name:
        case "pn":
            objective, positive_weight = PositiveNegative(pi), pi
        case "pu":
            objective, positive_weight = PositiveUnlabeled(pi), pi
        case "ge_kl":
            objective = GeneralizedExpectationKL(pi, DEFAULT_SLACK[name] if slack == -1 else slack)
            positive_weight = 1.0
        case "ge_binomial":
            objective = GeneralizedExpectationBinomial(pi, DEFAULT_SLACK[name] if slack == -1 else slack)
            positive_weight = 1.0
        case _:
            raise InputError(f"loss.objective={name} is none of {', '.join(OBJECTIVES)}.")
    return objective if negative_weight is None else WithNegatives(objective, negative_weight * positive_weight)
