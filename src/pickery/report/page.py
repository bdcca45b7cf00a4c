"""Puts a run into one self-contained page: no file beside it, nothing fetched."""

from __future__ import annotations

import base64
import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pickery.config.again import words
from pickery.config.schema.base import as_word
from pickery.errors import InputError
from pickery.evaluation.names import METRICS
from pickery.report.folder import CrossValidated, Training, damaged

TEMPLATE = "page.html.j2"

FIGURES = (
    ("precision.png", "Precision by epoch, the best epoch marked"),
    ("metrics.png", "All figures by epoch"),
)
OF_PICKS = (("precision_recall.png", "Precision and recall of the picks, by score threshold"),)
PICTURES = (
    ("picks.png", "A held-out micrograph with a middling number of particles"),
    ("picks_worst.png", "The held-out micrograph on which the picks agree least with the labels"),
)
OF_VALUES = (
    ("cross_validation.png", "The values, and what each fold gave"),
    ("curves.png", "The curves of all trainings"),
)
PLACES = (
    ("model.ckpt", "the best epoch's network, with preprocessing, radius and threshold inside"),
    ("summary.json", "the figures of this page"),
    ("metrics.csv", "every epoch"),
    ("cross_validation.csv", "every value and fold"),
    ("micrographs.csv", "what each micrograph served for"),
    ("config.yaml", "all settings"),
    ("log.txt", "what the program said"),
)


def render(run: Training | CrossValidated) -> str:
    """Give the page as HTML.

    Raises
    ------
    InputError
        What the run wrote is damaged.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("pickery.report", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["figure"] = _figure
    template = environment.get_template(TEMPLATE)
    try:
        return template.render(**content(run))
    except (InputError, OSError):
        raise
    except Exception as error:  # files that were changed may lack anything
        why = f"or what lies beside it: {type(error).__name__} {error}"
        raise damaged(run.path / "summary.json", why) from error


def content(run: Training | CrossValidated) -> dict[str, Any]:
    """Give all that the page shows."""
    training = run.final if isinstance(run, CrossValidated) else run
    command = "cross-validate" if isinstance(run, CrossValidated) else "train"
    line = words(command, run.settings)
    return {
        "title": run.path.name,
        "kind": "Cross-validation" if isinstance(run, CrossValidated) else "Training",
        "command": f"pickery {command} {shlex.join(line)}".rstrip(),
        "asked": _asked(training),
        "settings": _settings(run.settings),
        "changed": [tuple(word.split("=", 1)) for word in line],
        "tiles": _tiles(training),
        "remarks": training.remarks,
        "curves": _pictures(training.path, FIGURES),
        "picks": _picks(training),
        "pick_curves": _pictures(training.path, OF_PICKS),
        "pictures": _pictures(training.path, PICTURES),
        "data": _data(training),
        "micrographs": _micrographs(training),
        "versions": training.summary["provenance"].get("versions", {}),
        "provenance": _provenance(training),
        "places": [(name, what) for name, what in PLACES if (run.path / name).exists()],
        "folder": str(run.path.resolve()),
        "pick_command": f"pickery pick {shlex.join([f'picking.model={run.path}'])} data.micrographs=MICROGRAPHS "
        "picking.out=picks.star",
        "cross_validation": _cross_validation(run) if isinstance(run, CrossValidated) else None,
    }


def _figure(value: float | None, digits: int = 3) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def _tiles(training: Training) -> list[tuple[str, str, str]]:
    """Give the few figures that matter most: name, value, what it is."""
    summary = training.summary
    picks, regions = summary["picks"], summary["regions"]
    error = picks["pick_centre_error_px"]
    angstrom = picks["pick_centre_error_angstrom"]
    return [
        ("Average precision of picks", _figure(picks["pick_average_precision"]), "whole picks, over all thresholds"),
        ("F1 of picks", _figure(picks["pick_f1"]), f"at score {_figure(picks['pick_threshold'], 2)}"),
        ("Area under precision-recall", _figure(regions["auprc"]), "over regions"),
        ("Precision", _figure(regions["precision"]), "over regions, soft"),
        (
            "Centre error",
            "–" if error is None else f"{error:.1f} px",
            "of the picks that hit" if angstrom is None else f"{angstrom:.1f} Å",
        ),
        ("Best epoch", f"{summary['best_epoch']} of {summary['epochs']}", f"by {summary['monitor']}"),
    ]


def _asked(training: Training) -> str:
    settings = training.settings
    model, sampler = settings["model"], settings["sampler"]
    return (
        f"{model['architecture']} of {model['units']} units, objective {settings['loss']['objective']}, "
        f"{settings['trainer']['epochs']} epochs of {sampler['epoch_size']} minibatches of "
        f"{sampler['minibatch_size']} {sampler['name']}, {settings['optimizer']['name']} at a learning rate of "
        f"{settings['optimizer']['learning_rate']:g}; seed {settings['seed']}{_by_whom(training)}"
    )


def _by_whom(training: Training) -> str:
    engine = training.summary["provenance"].get("engine") or {}
    return f"; trained by the original {str(engine['name']).capitalize()} {engine['version']}" if engine else ""


def _settings(settings: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    groups = []
    for group, values in settings.items():
        if isinstance(values, Mapping):
            groups.append((str(group), [(name, as_word(value)) for name, value in values.items()]))
    single = [(name, as_word(value)) for name, value in settings.items() if not isinstance(value, Mapping)]
    return [*groups, ("", single)]


def _data(training: Training) -> list[tuple[str, str]]:
    data, objective = training.summary["data"], training.summary["objective"]
    provenance = training.summary["provenance"]
    pixel = provenance.get("pixel_size_angstrom")
    settings = training.settings
    rows = [
        ("Micrographs to train on", f"{data['training_micrographs']}, with {data['training_picks']} picks"),
        ("Held out", f"{data['test_micrographs']}, with {data['test_picks']} picks"),
        ("Left out", str(data["skipped_micrographs"])),
        ("Expected particles", f"{provenance.get('expected_particles'):g} in a micrograph"),
        (
            "Fraction of regions",
            f"{100 * objective['pi']:.3g} % expected on particles (pi), {100 * objective['observed']:.3g} % labelled",
        ),
        (
            "Shrunk",
            f"by {settings['preprocess']['downsample']:g}"
            + (
                ""
                if pixel is None
                else f", from {pixel:.4g} to {pixel * settings['preprocess']['downsample']:.4g} Å a pixel"
            ),
        ),
        ("Labelled disc", f"radius {provenance.get('radius')} regions"),
    ]
    if data.get("training_negatives"):
        rows.append(("Known negatives", str(data["training_negatives"])))
    if data.get("training_masked_fraction"):
        rows.append(("Masked", f"{100 * data['training_masked_fraction']:.3g} % of the training area"))
    return rows


def _micrographs(training: Training) -> dict[str, list[Mapping[str, str]]]:
    sides: dict[str, list[Mapping[str, str]]] = {"train": [], "test": [], "skipped": []}
    for row in training.micrographs:
        sides[row["set"]].append(row)
    return sides


def _picks(training: Training) -> dict[str, Any]:
    picks = training.summary["picks"]
    names = ("pick_average_precision", "pick_precision", "pick_recall", "pick_f1")
    return {
        "rows": [(METRICS[name].label, picks[name], METRICS[name].meaning) for name in names],
        "threshold": picks["pick_threshold"],
        "hits": picks["hits"],
        "misses": picks["misses"],
        "extras": picks["extras"],
        "note": picks["note"],
    }


def _provenance(training: Training) -> list[tuple[str, str]]:
    provenance = training.summary["provenance"]
    threads = provenance.get("threads")
    rows = [
        ("Seed", str(provenance.get("seed"))),
        ("Device", f"{provenance.get('device')}, {threads} thread{'' if threads == 1 else 's'}"),
        ("Fingerprint of the data", str(provenance.get("data"))),
    ]
    if training.summary.get("tracked_run"):
        rows.append(("Tracked as", str(training.summary["tracked_run"])))
    return rows


def _cross_validation(run: CrossValidated) -> dict[str, Any]:
    summary = run.summary
    monitor = str(summary["monitor"])
    rows = []
    for value in summary["values"]:
        rows.append(
            {
                "setting": ", ".join(f"{name.split('.')[-1]}={as_word(n)}" for name, n in value["setting"].items()),
                "state": value["state"],
                "folds": value["monitored"],
                "mean": value["mean"],
                "standard_error": value["standard_error"],
                "auprc": value["auprc"],
                "picks": value["pick_average_precision"],
                "best": value["setting"] == summary["best"],
            }
        )
    return {
        "parameter": " and ".join(str(name).split(".")[-1] for name in summary["parameter"]),
        "monitor": METRICS[monitor].label.lower(),
        "folds": summary["folds"],
        "rows": rows,
        "verdict": summary["verdict"],
        "pictures": _pictures(run.path, OF_VALUES),
    }


def _pictures(folder: Path, wanted: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """Give the plots that are there, as data of the page."""
    found = []
    for name, words_of_it in wanted:
        path = folder / "plots" / name
        if path.exists():
            data = base64.b64encode(path.read_bytes()).decode("ascii")
            found.append({"source": f"data:image/png;base64,{data}", "caption": words_of_it})
    return found
