"""Objectives: scores and labels of a minibatch -> a number to minimise and its parts. Knows nothing of models."""

from collections.abc import Callable

from torch import Tensor

from pickery.errors import InputError
from pickery.loss.ge_binomial import GeneralizedExpectationBinomial
from pickery.loss.ge_kl import GeneralizedExpectationKL
from pickery.loss.pn import PositiveNegative
from pickery.loss.pu import PositiveUnlabeled
from pickery.loss.terms import LossTerms

OBJECTIVES = ("pn", "pu", "ge_kl", "ge_binomial")
DEFAULT_SLACK = {"ge_kl": 10.0, "ge_binomial": 1.0}
"""Slack of the objectives that have one, where `loss.slack=-1`."""

__all__ = ["DEFAULT_SLACK", "OBJECTIVES", "LossTerms", "build_objective"]


def build_objective(name: str, *, pi: float, slack: float = -1) -> Callable[[Tensor, Tensor], LossTerms]:
    """Build an objective.

    Parameters
    ----------
    name
        One of `OBJECTIVES`.
    pi
        Expected fraction of positive regions (PN, PU) or of positives among the unlabeled ones (GE); used as given.
    slack
        Weight of the GE penalty; -1 is the objective's own (`DEFAULT_SLACK`). PN and PU have none.

    Returns
    -------
    A function of scores (b,) and labels (b,) that gives `LossTerms`. It makes no device wait for the host.

    Raises
    ------
    InputError
        For an unknown name, or a pi or slack out of range.
    """
    if not 0 < pi < 1:
        raise InputError(f"pi = {pi:g} must lie between 0 and 1: see data.expected_particles and data.radius.")
    if slack < 0 and slack != -1:
        raise InputError(f"loss.slack={slack:g} must be at least 0, or -1 for the objective's own.")
    match name:
        case "pn":
            return PositiveNegative(pi)
        case "pu":
            return PositiveUnlabeled(pi)
        case "ge_kl":
            return GeneralizedExpectationKL(pi, DEFAULT_SLACK[name] if slack == -1 else slack)
        case "ge_binomial":
            return GeneralizedExpectationBinomial(pi, DEFAULT_SLACK[name] if slack == -1 else slack)
    raise InputError(f"loss.objective={name} is none of {', '.join(OBJECTIVES)}.")
