"""Who trains and who is held out: the split of collected data, and what a training then works on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from pickery.config.load import with_values
from pickery.config.schema import DataGroup, TrainConfig
from pickery.config.schema.base import as_word
from pickery.data.datamodule import LabelledMicrographs
from pickery.data.split import choose_picks, split_folds, split_test
from pickery.errors import InputError
from pickery.formats.micrographs import MicrographFile
from pickery.preprocess.store import PreparedSet
from pickery.simulation.data_set import DataSet
from pickery.training.found import Found
from pickery.training.inputs import Collected, collect
from pickery.training.left_out import MaskedRuns, Points
from pickery.training.listener import Listener
from pickery.training.look import in_words
from pickery.training.sizes import provisional, say_chosen, settle

AnyTraining = TypeVar("AnyTraining", bound=TrainConfig)

NO_RUNS = np.empty((0, 2), dtype=np.int64)


@dataclass(frozen=True)
class TrainingData:
    """Prepared micrographs, split, with their picks.

    Attributes
    ----------
    prepared
        The prepared set.
    train, test
        Names of the training and the held-out micrographs.
    points
        Each micrograph's picks, full-size ``(x, y)``; of training micrographs only those that train.
    files
        The micrographs' files by name, skipped ones included.
    skipped
        Micrographs left out, and why.
    pixel_size_angstrom
        Of the full-size micrographs, if known.
    expected_particles
        In one micrograph.
    radius
        Disc radius of a positive region.
    partial_labels
        Whether the held-out micrographs may hold particles that nobody labelled; False where the truth is known.
    negatives
        Each micrograph's positions known to hold no particle, likewise; empty where none are given.
    masked
        Micrograph's name → its masked regions, as `pickery.data.regions.runs_of` writes them; only those that have
        some.
    fingerprint
        Hash of all this: the prepared pixels, the picks and the split, the masks and the negatives that train.
    chosen
        Settings that were left open and follow from the data: names and values.
    remarks
        What a person should know of those, in sentences.
    """

    prepared: PreparedSet
    train: tuple[str, ...]
    test: tuple[str, ...]
    points: Points
    files: Mapping[str, MicrographFile]
    skipped: Mapping[str, str]
    pixel_size_angstrom: float | None
    expected_particles: float
    radius: int
    partial_labels: bool
    negatives: Points
    masked: MaskedRuns
    fingerprint: str
    chosen: Mapping[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def settled(self, config: AnyTraining) -> AnyTraining:
        """Give settings of this data's training with nothing left open."""
        return provisional(with_values(config, self.chosen))

    def labelled(self, names: Sequence[str]) -> LabelledMicrographs:
        """Give some of the micrographs with their picks in regions."""
        chosen = self.prepared.select(list(names))
        return LabelledMicrographs(
            names=tuple(names),
            flat=chosen.flat(),
            starts=chosen.starts,
            shapes=chosen.shapes,
            points=tuple(chosen.to_regions(i, self.points[name]) for i, name in enumerate(names)),
            radius=self.radius,
            negatives=tuple(chosen.to_regions(i, self.negatives[name]) for i, name in enumerate(names))
            if self.negative_count(names)
            else (),
            masked=tuple(self.masked.get(name, NO_RUNS) for name in names)
            if any(name in self.masked for name in names)
            else (),
        )

    def picks(self, names: Sequence[str]) -> int:
        """Count the picks of some of the micrographs."""
        return sum(len(self.points[name]) for name in names)

    def negative_count(self, names: Sequence[str]) -> int:
        """Count the positions known to hold no particle in some of the micrographs."""
        return sum(len(self.negatives[name]) for name in names if name in self.negatives)

    def masked_fraction(self, names: Sequence[str]) -> float:
        """Tell which part of the regions of some of the micrographs is masked."""
        regions = int(self.prepared.select(list(names)).shapes.prod(axis=1).sum())
        return sum(int(np.diff(self.masked[name]).sum()) for name in names if name in self.masked) / max(1, regions)


def gather(config: TrainConfig, listener: Listener, *, simulated: DataSet | None = None) -> TrainingData:
    """Collect and divide the data of a training: `collect`, then `divide`."""
    return divide(config, collect(config, listener, simulated=simulated), listener)


def divide(config: TrainConfig, collected: Collected, listener: Listener) -> TrainingData:
    """Divide collected data as the settings say.

    Simulated held-out micrographs are judged against their complete truth; the training ones have the part of it that
    is handed out as picks.

    Raises
    ------
    InputError
        When nothing would be left to train on, or nothing of what is given apart can be held out.
    """
    found = collected.found
    names = [file.name for file in found.files if file.name not in collected.skipped]
    train, test, dropped = split(names, found, config.data, config.seed)
    unjudged = [name for name in dropped if name in found.given_apart]
    if unjudged:
        listener.warn(
            f"{len(unjudged)} of data.test_micrographs have no picks in data.test_picks and are left out ({unjudged[0]}"
            f"{', …' if len(unjudged) > 1 else ''}): a missing label is not an absence"
        )
    skipped = dict(collected.skipped)
    skipped |= dict.fromkeys(dropped, "no picks (data.unpicked=drop)") | dict.fromkeys(unjudged, "no picks to judge by")
    points = {name: found.points[name] for name in names}
    if not collected.partial_labels:
        points |= {name: found.truth[name] for name in test}
    keep = config.data.picks_per_micrograph
    if keep is not None:
        points |= {name: choose_picks(points[name], keep, name=name, seed=config.seed) for name in train}
    negatives = {name: found.negatives[name] for name in names if name in found.negatives}
    masked = {name: collected.masked[name] for name in names if name in collected.masked}
    following = settle(config, found.pixel_size_angstrom)
    chosen, remarks = dict(following.chosen), []
    remarks += say_chosen(config, found.pixel_size_angstrom, chosen)
    if config.data.expected_particles == "auto":
        assert collected.estimate is not None
        chosen["data.expected_particles"] = round(collected.estimate.particles, 1)
        remarks.append(f"data.expected_particles=auto: {in_words(collected.estimate)}")
    config = following.config
    return TrainingData(
        prepared=collected.prepared,
        train=tuple(train),
        test=tuple(test),
        points=points,
        files={file.name: file for file in found.files},
        skipped=skipped,
        pixel_size_angstrom=found.pixel_size_angstrom,
        expected_particles=chosen.get("data.expected_particles") or config.data.particles,
        radius=config.data.disc_radius,
        partial_labels=collected.partial_labels,
        negatives=negatives,
        masked=masked,
        fingerprint=_fingerprint(collected.prepared, train, test, points, negatives, masked),
        chosen=chosen,
        remarks=tuple(remarks),
    )


def split(names: Sequence[str], found: Found, settings: DataGroup, seed: int) -> tuple[list[str], list[str], list[str]]:
    """Divide micrographs into those that train, those held out, and those dropped for want of picks."""
    unpicked = [name for name in names if not len(found.points[name])]
    looked_at = found.emptied | {name for name in unpicked if len(found.negatives.get(name, ()))}
    dropped = [
        name
        for name in unpicked
        if name in found.given_apart or (settings.unpicked == "drop" and name not in looked_at)
    ]
    out = set(dropped)
    kept = [name for name in names if name not in out]
    if settings.test_micrographs is not None:
        held_out = [name in found.given_apart for name in kept]
    else:
        counts = np.array([len(found.points[name]) for name in kept])
        if settings.folds is not None:
            held_out = list(split_folds(counts, settings.folds, seed) == settings.fold)
        else:
            held_out = list(split_test(counts, settings.test_fraction, seed))
    train = [name for name, held in zip(kept, held_out, strict=True) if not held]
    test = [name for name, held in zip(kept, held_out, strict=True) if held]
    if not train:
        raise InputError(
            "no micrograph is left to train on: give more micrographs or picks (data.micrographs, data.picks)"
        )
    if settings.test_micrographs is not None and not test:
        raise InputError(
            f"none of data.test_micrographs={as_word(settings.test_micrographs)} can be held out, as none of them is "
            "usable and has picks in data.test_picks: give the picks that belong to them"
        )
    return train, test, dropped


def _fingerprint(
    prepared: PreparedSet,
    train: Sequence[str],
    test: Sequence[str],
    points: Points,
    negatives: Points,
    masked: MaskedRuns,
) -> str:
    digest = hashlib.blake2b(prepared.fingerprint.encode(), digest_size=16)
    for side, names in (("train", train), ("test", test)):
        for name in names:
            digest.update(f"\0{side}\0{name}\0".encode())
            digest.update(np.ascontiguousarray(points[name], dtype="<f8").tobytes())
            # nothing is added where there is nothing, so that data without masks and negatives keep their hash
            if side == "train" and len(negatives.get(name, ())):
                digest.update(b"\0negatives\0" + np.ascontiguousarray(negatives[name], dtype="<f8").tobytes())
            if name in masked:
                digest.update(b"\0masked\0" + np.ascontiguousarray(masked[name], dtype="<i8").tobytes())
    return digest.hexdigest()
