"""Where an examination is kept: ``doctor.json`` beside its pictures."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from pickery.atomic import write_text
from pickery.config.load import flat
from pickery.config.schema import DoctorConfig
from pickery.doctor.findings import Report
from pickery.errors import InputError
from pickery.training.run_folder import data_name

FILE = "doctor.json"


def folder_for(config: DoctorConfig) -> Path:
    """Give the folder: the one asked for, or ``doctor/NAME-HASH``, the same for the same settings.

    Raises
    ------
    InputError
        What is there is not an examination's.
    """
    if config.doctor.out is not None:
        folder = Path(config.doctor.out).expanduser()
        there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        if folder.is_file() or not there <= {FILE, "overlay.png", "mean_patches.png"}:
            raise InputError(f"doctor.out={config.doctor.out} holds something else: give a folder of its own.")
        return folder
    digest = hashlib.sha256(json.dumps(flat(config), sort_keys=True).encode()).hexdigest()[:8]
    return Path("doctor") / f"{data_name(config.data)}-{digest}"


def write(folder: Path, report: Report) -> Path:
    """Write what was found."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    content = {
        "findings": [asdict(finding) for finding in report.findings],
        "lines": [list(line) for line in report.lines],
        **report.facts,
    }
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return path
