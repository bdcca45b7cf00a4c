"""The examination: all that a training would do before its first minibatch, and what it could not see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pickery.config.errors import ConfigError
from pickery.config.load import with_value
from pickery.config.schema import DoctorConfig, TrainConfig
from pickery.doctor import arithmetic, files
from pickery.doctor.cost import measure
from pickery.doctor.findings import Report
from pickery.doctor.pictures import draw
from pickery.errors import InputError
from pickery.formats.masks import find_masks
from pickery.formats.micrographs import MicrographFile, read_header
from pickery.placement.words import mending, sentence
from pickery.preprocess.fourier import downsampled_shape
from pickery.simulation.data_set import DataSet
from pickery.training.choices import pretrained_hash, training_device
from pickery.training.coordinates import factors_of, frame_of
from pickery.training.listener import Listener
from pickery.training.look import Look, estimate_particles, held_out_fault, in_words, look, to_look_at
from pickery.training.run import engine_version
from pickery.training.sizes import Following, PixelSizeUnknown, provisional, settle


@dataclass(frozen=True)
class Examination:
    """What was found.

    Attributes
    ----------
    report
        Facts and findings.
    pictures
        Files that were drawn.
    """

    report: Report
    pictures: tuple[Path, ...]


def examine(config: DoctorConfig, folder: Path, listener: Listener, *, simulated: DataSet | None = None) -> Examination:
    """Examine the data and the settings of a training.

    Parameters
    ----------
    config
        All settings of the training, and the doctor's own.
    folder
        Where pictures are drawn; made if need be.
    listener
        Told of progress.
    simulated
        The simulated data set, instead of the settings' micrographs and picks.
    """
    report, data = Report(), config.data
    source, picked_in = data.micrographs, data.picks
    if simulated is not None:
        source, picked_in = str(simulated.micrographs), str(simulated.picks)
    assert source is not None
    assert picked_in is not None
    listener.working("reading headers")
    skip_bad = config.preprocess.skip_bad
    found = files.micrographs(source, data, report, skip_bad=skip_bad)
    if found is None:
        return Examination(report, ())
    apart, of_apart = None, Report()
    if data.test_micrographs is not None:
        apart = files.micrographs(data.test_micrographs, data, of_apart, skip_bad=skip_bad)
    beside = () if apart is None else apart.files
    listener.working("reading picks")
    frame = frame_of(data)
    picked = files.picks(picked_in, found, data, frame, report, beside=beside)
    _means(config, report)
    following = _settled(config, found.pixel_size_angstrom, report)
    settled = following.config
    factors = factors_of(settled, found.pixel_size_angstrom)
    _held_out(config, found, apart, of_apart, factors, report, listener)
    pictures: tuple[Path, ...] = ()
    if picked is not None:
        _others(config, found, beside, report)
        coordinates = {name: picked.coordinates[name] for name in to_look_at(picked.counts)}
        seen = look(
            [file for file in found.files if file.name in coordinates],
            coordinates,
            frame,
            factors=factors,
            listener=listener,
        )
        _placement(seen, report, skip_bad=skip_bad)
        if seen.around:
            listener.working("drawing")
            pictures = tuple(
                draw(
                    folder,
                    seen,
                    coordinates,
                    {file.name: file for file in found.files},
                    radius_px=_radius_px(settled, found.pixel_size_angstrom),
                    pixel_size_angstrom=found.pixel_size_angstrom,
                    seed=config.seed,
                )
            )
        if not report.has_fault("sizes"):
            arithmetic.sizes(following, found, report)
        if data.expected_particles == "auto" and seen.verdict.better is None:
            settled = _counted(settled, seen, coordinates, found.pixel_size_angstrom, report, listener)
        arithmetic.particles(settled, found, picked, report)
    elif not report.has_fault("sizes"):
        arithmetic.sizes(following, found, report)
    if config.doctor.measure and not report.has_fault("sizes"):
        listener.working("measuring a few minibatches")
        _cost(config, following, found, report)
    return Examination(report, pictures)


def _settled(config: DoctorConfig, pixel_size_angstrom: float | None, report: Report) -> Following:
    try:
        try:
            return settle(config, pixel_size_angstrom)
        except (InputError, ConfigError) as error:
            if isinstance(error, PixelSizeUnknown) or config.model.pretrained is None:
                raise
            report.fault("settings", str(error))
            return settle(with_value(config, "model.pretrained", None), pixel_size_angstrom)
    except PixelSizeUnknown as error:
        report.fault("sizes", str(error).partition(": set")[0], "data.pixel_size=SIZE")
    except (InputError, ConfigError) as error:
        report.fault("sizes", str(error))
    return Following(provisional(config), {})


def _means(config: DoctorConfig, report: Report) -> None:
    """Check what a training trains with: the device, the other engine's program, weights to begin from."""
    try:
        training_device(config)
        engine_version(config)
        pretrained_hash(config)
    except (InputError, ConfigError) as error:
        report.fault("settings", str(error))


def _held_out(
    config: DoctorConfig,
    found: files.Micrographs,
    apart: files.Micrographs | None,
    said: Report,
    factors: Sequence[float],
    report: Report,
    listener: Listener,
) -> None:
    """Examine the micrographs that are held out, where they are given apart, and their picks."""
    data = config.data
    if data.test_micrographs is None:
        return
    assert data.test_picks is not None, "a rule of the settings"
    if apart is not None:
        picked = files.picks(data.test_picks, apart, data, frame_of(data), said, beside=found.files)
        if picked is not None:
            counts = picked.counts
            report.say("held out", f"{len(apart.files)} micrographs given apart, with {sum(counts.values()):,} picks")
            report.facts["held_out"] = {"micrographs": len(apart.files), "picks": sum(counts.values())}
            chosen = {name: picked.coordinates[name] for name in to_look_at(counts)}
            files_of = [file for file in apart.files if file.name in chosen]
            fault = held_out_fault(look(files_of, chosen, frame_of(data), factors=factors, listener=listener))
            if fault is not None:
                said.fault("placement", fault)
    for finding in said.faults:
        report.fault(finding.about, f"held out: {finding.text}", *finding.settings)


def _others(config: DoctorConfig, found: files.Micrographs, beside: tuple[MicrographFile, ...], report: Report) -> None:
    """Check what else is given by the same means: it would stop a training."""
    data = config.data
    try:
        if data.masks is not None:
            everything = [*found.files, *beside]
            shapes = found.shapes | {file.name: read_header(file.path).shape for file in beside}
            masks = find_masks(data.masks, everything, shapes)
            report.say("masks", f"{len(masks)} of {len(everything)} micrographs have one")
        if data.negatives is not None:
            negatives = files.picks(data.negatives, found, data, frame_of(data), other := Report(), beside=beside)
            for finding in other.faults:
                report.fault("picks", f"data.negatives: {finding.text}", *finding.settings)
            if negatives is not None:
                report.say("negatives", f"{sum(negatives.counts.values()):,} positions known to hold no particle")
    except InputError as error:
        report.fault("picks", str(error))


def _placement(seen: Look, report: Report, *, skip_bad: bool) -> None:
    verdict = seen.verdict
    for name, reason in seen.unreadable.items():
        if skip_bad:
            report.advise("micrographs", f"{name}: {reason} It is left out")
        else:
            report.fault("micrographs", f"{name}: {reason} To leave it out", "preprocess.skip_bad=true")
    text = sentence(verdict)
    settings = [] if verdict.better is None else mending(verdict.given.frame, verdict.better.frame)
    report.facts["placement"] = {
        "verdict": verdict.kind,
        "micrographs": sorted(seen.around),
        "picks": verdict.given.picks,
        "inside": verdict.given.inside,
        "statistic": verdict.given.statistic,
        "better": None if verdict.better is None else asdict(verdict.better.frame),
        "better_statistic": None if verdict.better is None else verdict.better.statistic,
        "settings": settings,
        "best_other": verdict.best_other,
    }
    if verdict.better is not None:
        report.fault("placement", text, *settings)
    elif verdict.kind == "outside":
        report.fault("placement", f"{text}. Are they the picks of these micrographs?")
    elif verdict.kind in ("unclear", "few"):
        report.advise("placement", f"{text}; the pictures may tell more")
    else:
        report.say("placement", text)


def _counted(
    config: TrainConfig,
    seen: Look,
    coordinates: Mapping[str, NDArray[np.float64]],
    pixel_size_angstrom: float | None,
    report: Report,
    listener: Listener,
) -> TrainConfig:
    """Give the settings with the particles counted, where they can be."""
    try:
        found = estimate_particles(config, seen, dict(coordinates), pixel_size_angstrom, listener)
    except InputError as error:
        report.fault("particles", str(error))
        return config
    report.facts["count"] = asdict(found)
    report.say("particles", in_words(found))
    return with_value(config, "data.expected_particles", round(found.particles, 1))


def _radius_px(config: Any, pixel_size_angstrom: float | None) -> float:
    """Give the radius of a circle about a pick: the particle's, if its size is known, else that of extraction."""
    if config.data.particle_diameter is not None and pixel_size_angstrom is not None:
        return float(config.data.particle_diameter) / (2 * pixel_size_angstrom)
    return float(4 * config.data.disc_radius * config.preprocess.factor)


def _cost(config: DoctorConfig, following: Following, found: files.Micrographs, report: Report) -> None:
    settled = following.config
    first = found.files[0]
    prepared = downsampled_shape(found.headers[first.name].shape, settled.preprocess.factor)
    try:
        cost = measure(settled, first.path, prepared)
    except InputError as error:
        report.fault("cost", str(error))
        return
    train, test = len(found.files), round(len(found.files) * config.data.test_fraction)
    if config.data.test_micrographs is None:
        train -= test
    else:
        test = report.facts.get("held_out", {}).get("micrographs", test)
    total = cost.total_s(settled, train=train, test=test)
    report.facts["cost"] = asdict(cost) | {"total_s": total}
    report.say(
        "cost",
        f"{cost.step_s:.2g} s a minibatch on {cost.device}; {settled.trainer.epochs} epochs of "
        f"{settled.sampler.epoch_size} take about {duration(total)}, and {cost.memory_bytes / 1e9:.1f} GB of memory",
    )
    if total > 24 * 3600:
        report.advise(
            "cost",
            f"{duration(total)} is long. Whether it learns shows sooner with",
            "experiment=first_look",
        )


def duration(seconds: float) -> str:
    """Say a duration roughly."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    if seconds < 100 * 60:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
