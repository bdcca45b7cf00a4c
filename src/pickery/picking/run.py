"""A picking from settings to files: finds what was done before, has the rest done, writes, and says so."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Mapping
from pathlib import Path

from pickery.atomic import write_text
from pickery.config.schema import PickConfig
from pickery.errors import InputError
from pickery.model import receptive_field
from pickery.picking import words
from pickery.picking.audience import Audience
from pickery.picking.candidates import CandidateFolder, Candidates, read_candidates, stamp
from pickery.picking.choices import Choices, choose, device_of, differences, preprocess_of
from pickery.picking.crew import Means, Outcome, run_tasks
from pickery.picking.exclusion import allowed
from pickery.picking.inputs import Inputs, find, stop_for, too_small
from pickery.picking.model import PickingModel, open_model
from pickery.picking.output import Output, output_of, picks_of
from pickery.picking.pictures import draw_pictures
from pickery.picking.work import Task
from pickery.preprocess.work import prepared_shape

TABLE = "micrographs.csv"


def pick(config: PickConfig, audience: Audience) -> Path:
    """Pick micrographs as the settings say; gives the folder of details.

    Parameters
    ----------
    config
        All settings.
    audience
        Told of everything.

    Raises
    ------
    InputError
        When something given cannot be used.
    """
    assert config.picking.model is not None
    device = device_of(config)
    output = output_of(config)
    audience.working("reading the model")
    uri = config.tracking.uri
    model = open_model(config.picking.model, root=Path(config.tracking.root), uri=uri)
    preprocess = preprocess_of(config, model)
    audience.working("looking at the micrographs")
    inputs = find(config, audience)
    choices = choose(
        config,
        model,
        pixel_size_angstrom=inputs.pixel_size_angstrom,
        scale=_scale(inputs, float(preprocess["downsample"])),
    )
    audience.rest()
    for text in differences(config, model, choices):
        audience.warn(text)
    network = model.weights.architecture
    field = receptive_field(network["architecture"], network["pooling"])
    small = too_small(inputs, float(preprocess["downsample"]), field)
    stop_for(dict(inputs.bad) | small, len(inputs.files), skip_bad=config.picking.skip_bad)
    output.check(inputs)
    audience.keep_log(output.details / "log.txt")

    folder = _folder(config, model, choices, output)
    plan = _Plan(config, inputs, choices, folder)
    words.introduce(model, choices, micrographs=len(inputs.usable), kept=len(plan.picked), audience=audience)
    words.say_of_gpus(device, config.picking.workers, audience)
    means = Means(device, config.picking.workers, config.picking.threads)
    _take(plan, model, means, audience)
    stop_for(dict(inputs.bad) | plan.bad, len(inputs.files), skip_bad=config.picking.skip_bad)
    for name, reason in plan.bad.items():
        audience.warn(f"left out {name}: {reason}")

    picked = plan.picked
    picks = [
        picks_of(file, inputs, picked[file.name].full_size(), picked[file.name].scores)
        for file in inputs.files
        if file.name in picked
    ]
    written = output.write(picks, choices.box_size_px)
    _write_table(output.details / TABLE, inputs, picked, dict(inputs.bad) | plan.bad)
    pictures = draw_pictures(config, inputs, picked, choices, output.details / "pictures", audience)
    audience.rest()
    words.conclude(
        [len(picked[file.name].scores) for file in inputs.files if file.name in picked],
        choices,
        out=output.out,
        kind=output.kind,
        files=written.files,
        lost=written.lost,
        details=output.details,
        pictures=len(pictures),
        with_ids=any(file.cryosparc is not None for file in inputs.files),
        audience=audience,
    )
    return output.details


class _Plan:
    """What was scored before, as the micrographs are now; what is to be done for the others; and what came of it.

    Attributes
    ----------
    picked
        Micrograph's name → its picks: those candidates that score enough and lie where they may.
    bad
        Micrograph's name → why it cannot be used.
    picks
        How many there are so far.
    tasks
        What is to be done.
    """

    def __init__(self, config: PickConfig, inputs: Inputs, choices: Choices, folder: CandidateFolder) -> None:
        self._inputs, self._choices, self._margin = inputs, choices, config.picking.margin
        self.folder = folder
        self.picked: dict[str, Candidates] = {}
        self.bad: dict[str, str] = {}
        self.picks = 0
        self.tasks: list[Task] = []
        for number, file in enumerate(inputs.files):
            if file.name not in inputs.headers:
                continue
            keep, now = folder.file(file.name, file.path), stamp(file.path)
            candidates = read_candidates(keep, floor=choices.floor, stamp=now)
            if candidates is not None:
                self.add(number, candidates)
                continue
            self.tasks.append(
                Task(
                    number=number,
                    micrograph=file.path,
                    preprocess=choices.preprocess,
                    extraction_radius=choices.extraction_radius,
                    floor=choices.floor,
                    tile=config.picking.tile,
                    keep=keep,
                    stamp=now,
                )
            )

    def add(self, number: int, outcome: Outcome) -> None:
        """Take the outcome of a micrograph, by its place in the list."""
        name = self._inputs.files[number].name
        try:
            if isinstance(outcome, str):
                raise InputError(outcome)
            enough = outcome.above(self._choices.lowest)
            self.picked[name] = allowed(enough, self._inputs.masks.get(name), self._margin)
            self.picks += len(self.picked[name].scores)
        except InputError as error:
            self.bad[name] = str(error)


def _take(plan: _Plan, model: PickingModel, means: Means, audience: Audience) -> None:
    """Have what is missing done."""
    before = len(plan.picked)
    total = before + len(plan.tasks)
    began = time.monotonic()
    audience.picking(before, total, plan.picks, None)
    for done, (number, outcome) in enumerate(run_tasks(plan.tasks, model.weights, means, plan.folder), 1):
        plan.add(number, outcome)
        left = (time.monotonic() - began) / done * (len(plan.tasks) - done)
        audience.picking(before + done, total, plan.picks, left)
    audience.rest()


def _scale(inputs: Inputs, downsample: float) -> tuple[float, float]:
    """Give the real downsampling factors of the first micrograph that can be shrunk so much."""
    problem: InputError | None = None
    for header in inputs.headers.values():
        try:
            shape = prepared_shape(header.shape, downsample)
        except InputError as error:
            problem = problem or InputError(str(error).replace("preprocess.downsample", "picking.downsample"))
            continue
        return header.shape[0] / shape[0], header.shape[1] / shape[1]
    assert problem is not None
    raise problem


def _folder(config: PickConfig, model: PickingModel, choices: Choices, output: Output) -> CandidateFolder:
    decides = {
        "model": model.digest,
        "preprocess": choices.preprocess,
        "extraction_radius": choices.extraction_radius,
    }
    folder = CandidateFolder(output.details / "candidates", model.architecture, decides)
    folder.make()
    return folder


def _write_table(path: Path, inputs: Inputs, picked: Mapping[str, Candidates], bad: Mapping[str, str]) -> None:
    """Write a row for each micrograph: its picks, or why it has none; usable as ``data.micrographs``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "path", "picks", "best_score", "masked", "reason"])
    for file in inputs.files:
        one = picked.get(file.name)
        masked = "yes" if file.name in inputs.masks else "no"
        if one is None:
            writer.writerow([file.name, file.path, "", "", masked, bad.get(file.name, "")])
        else:
            best = f"{one.scores[0]:.4f}" if len(one.scores) else ""
            writer.writerow([file.name, file.path, len(one.scores), best, masked, ""])
    write_text(path, text.getvalue())
