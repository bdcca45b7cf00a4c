"""Points as trials of an Optuna study: with the values that Optuna's dashboard shows and its grid sampler knows."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pickery.cross_validation.grid import FINAL, Grid, Point

if TYPE_CHECKING:
    from optuna.distributions import CategoricalDistribution
    from optuna.samplers import GridSampler
    from optuna.trial import FrozenTrial


class GridTrials:
    """Makes trials of a grid's points.

    Attributes
    ----------
    grid
        The grid.
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self._space = {"fold": list(range(grid.folds))} | {axis.parameter: list(axis.values) for axis in grid.axes}

    @cached_property
    def sampler(self) -> GridSampler:
        """The sampler of the study, which is exhausted when every training of the first rung is done or failed."""
        from optuna.samplers import GridSampler

        return GridSampler(self._space)

    def waiting(self, point: Point, follows: int | None = None) -> FrozenTrial:
        """Make a trial that waits for a worker.

        Parameters
        ----------
        point
            The point.
        follows
            Number of the trial that it takes the place of.
        """
        from optuna.trial import TrialState, create_trial

        values = self.grid.values[point.value]
        params: dict[str, Any] = {axis.parameter: value for axis, value in zip(self.grid.axes, values, strict=True)}
        of_pickery = {"rung": point.rung, "fold": point.fold, "value": point.value, "name": self.grid.name(point)}
        of_sampler: dict[str, Any] = {}
        if follows is not None:
            of_pickery["follows"] = follows
        if point.fold != FINAL:
            params["fold"] = point.fold
            if point.rung == 0:
                of_sampler = {"search_space": self._space, "grid_id": self._numbers[self._key(params)]}
        return create_trial(
            state=TrialState.WAITING,
            params=params,
            distributions={name: self._distributions[name] for name in params},
            user_attrs=of_pickery,
            system_attrs=of_sampler,
        )

    def _key(self, params: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(params[name] for name in self._space)

    @cached_property
    def _distributions(self) -> dict[str, CategoricalDistribution]:
        from optuna.distributions import CategoricalDistribution

        return {name: CategoricalDistribution(values) for name, values in self._space.items()}

    @cached_property
    def _numbers(self) -> dict[tuple[Any, ...], int]:
        """The numbers by which the sampler knows its points, asked of it one by one."""
        from optuna import create_study
        from optuna.trial import TrialState, create_trial

        numbers, study = {}, create_study(sampler=self.sampler)
        for number in range(len(self.grid.values) * self.grid.folds):
            trial = create_trial(state=TrialState.WAITING, system_attrs={"grid_id": number})
            params = {
                name: self.sampler.sample_independent(study, trial, name, distribution)
                for name, distribution in self._distributions.items()
            }
            numbers[self._key(params)] = number
        return numbers
