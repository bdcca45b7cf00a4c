"""The Lightning shell around a model and an objective; it knows neither which model nor which objective."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from pickery.loss import Objective
from pickery.loss.penalty import l2_penalty, reconstruction_error
from pickery.model import Picker
from pickery.model.decoder import one_by_one
from pickery.training.held_out import HeldOutEvaluation
from pickery.training.running import FirstBroken, RunningMeans, minibatch_figures
from pickery.training.team import Team


class PickerModule(pl.LightningModule):
    """Trains a picker on minibatches of patches or crops and evaluates it on held-out micrographs.

    Parameters
    ----------
    model
        A `pickery.model.Picker`.
    objective
        ``(scores, labels) → LossTerms``.
    optimizer
        Builds the optimizer of the given parameters.
    schedule
        Builds the learning-rate schedule of the optimizer, or None.
    decoder
        Reconstructs a patch from its features, if the autoencoder is on.
    autoencoder_weight
        Weight of the reconstruction error.
    l2
        Weight of the L2 penalty.
    held_out
        Evaluates the model at each epoch's end; None without held-out micrographs.
    pi
        Expected fraction of positive regions in the training micrographs.
    observed
        Labelled fraction of them.
    is_partial
        Whether minibatches hold scores that are neither of positive nor of unlabeled regions.
    dropout_seed
        Dropout's randomness follows from it and the step; None for a model without dropout.
    compiled
        Run the training step through ``torch.compile``.
    team
        The processes that train together, each on an equal share of every minibatch. The objective and the figures are
        those of the whole minibatch, the same in each process.
    """

    def __init__(
        self,
        *,
        model: Picker,
        objective: Objective,
        optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer],
        schedule: Callable[[torch.optim.Optimizer], LRScheduler | None],
        decoder: nn.Module | None = None,
        autoencoder_weight: float = 0.0,
        l2: float = 0.0,
        held_out: HeldOutEvaluation | None = None,
        pi: float,
        observed: float,
        is_partial: bool = False,
        dropout_seed: int | None = None,
        compiled: bool = False,
        team: Team | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.decoder = decoder
        self.objective = objective
        self.autoencoder_weight, self.l2 = autoencoder_weight, l2
        self.held_out = held_out
        self.pi, self.observed = pi, observed
        self.is_partial = is_partial
        self.dropout_seed = dropout_seed
        self.team = team or Team()
        self._build_optimizer, self._build_schedule = optimizer, schedule
        self.figures = RunningMeans()
        self.broken = FirstBroken()
        # the compiled twin shares the parameters and must not become a second submodule with names of its own
        features = model.features
        self._features: list[Callable[[Tensor], Tensor]] = [torch.compile(features) if compiled else features]

    def training_step(self, batch: Mapping[str, Tensor], batch_idx: int) -> Tensor:
        """Compute one minibatch's loss: the objective and, where asked for, L2 and reconstruction terms."""
        if self.dropout_seed is not None:
            # dropout draws from torch's global generator: seed it by (seed, step), so that a resumed step is the same,
            # and by the rank, so that no two shares of a minibatch have the same units dropped
            seed = self.dropout_seed * 1_000_003 + self.global_step + (self.team.rank << 40)
            torch.manual_seed(seed % 2**63)
        images, labels = batch["images"], batch["labels"]
        images = images.contiguous(memory_format=torch.channels_last)
        features = self._features[0](images)
        scores = self.model.classifier(features).flatten()
        error = None
        if self.decoder is not None:
            latent, patches = one_by_one(features, images, self.model)
            error = reconstruction_error(self.decoder(latent), patches)
        mean_error = error
        if self.team.size > 1:
            scores, labels, mean_error = self._of_everybody(scores, labels, error, count=len(images))
        terms = self.objective(scores, labels)
        # the gradient is averaged over the team, and each process adds to it through its own scores alone
        loss, total, named = self.team.size * terms.total, terms.total, dict(terms.terms)
        if error is not None and mean_error is not None:
            named["autoencoder"] = self.autoencoder_weight * mean_error
            loss, total = loss + self.autoencoder_weight * error, total + named["autoencoder"]
        if self.l2 > 0:
            named["l2"] = l2_penalty(self.model.parameters(), self.l2)
            loss, total = loss + named["l2"], total + named["l2"]
        with torch.no_grad():
            figures = minibatch_figures(scores, labels, pi=self.pi, observed=self.observed, is_partial=self.is_partial)
            parts = {f"objective_{name}": value.detach() for name, value in named.items()}
            self.broken.watch(self.global_step, {"scores": scores, **named, "objective": total})
            self.figures.add({"objective": total.detach(), **parts, **figures})
        return loss

    def _of_everybody(
        self, scores: Tensor, labels: Tensor, error: Tensor | None, *, count: int
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Put together the whole minibatch of the team: gradients flow through this process's own scores alone.

        Parameters
        ----------
        scores, labels : shape (count · scores of an image,)
            Of this process's images: every size-th of the minibatch.
        error
            Its mean reconstruction error, if any.
        """
        own = [scores.float(), labels.float(), *([] if error is None else [error.float()[None]])]
        everybody = self.team.together(torch.cat(own))  # one exchange for all of it
        numbers = len(scores)

        def whole(parts: Tensor) -> Tensor:
            return parts.reshape(self.team.size, count, -1).transpose(0, 1).flatten()

        of_all = [*everybody[:, :numbers]]
        of_all[self.team.rank] = scores.float()
        mean_error = None if error is None else everybody[:, -1].mean()
        return whole(torch.stack(of_all)), whole(everybody[:, numbers : 2 * numbers]), mean_error

    def validation_step(self, batch: Mapping[str, Any], batch_idx: int) -> None:
        """Score one held-out micrograph."""
        assert self.held_out is not None
        self.held_out.add(self.model, batch["image"], batch["labels"], batch["index"])

    def configure_optimizers(self) -> Any:
        """Build the optimizer, and the schedule by the step."""
        optimizer = self._build_optimizer(list(self.parameters()))
        schedule = self._build_schedule(optimizer)
        if schedule is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
