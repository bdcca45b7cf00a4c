"""Score maps by an installed Topaz: a model's file and an image in, the score of every region out.

Topaz's own `segment` reads the model and scores the image, as its `extract` does before it takes picks; nothing of
Topaz is imported here.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pickery.errors import InputError
from pickery.formats.micrographs import read_micrograph, write_mrc

# torch 2.6 and later read no whole modules unless told to
VARIABLE = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
_RUN = "import sys; from topaz.main import main; sys.argv[0] = 'topaz'; sys.exit(main())"
_VERSION = "import topaz; print(topaz.__version__)"
_LONGEST_S = 900


class TopazUnavailable(InputError):
    """There is no Topaz that could be asked."""


@dataclass(frozen=True, eq=False)
class TopazScores:
    """What Topaz made of an image.

    Attributes
    ----------
    scores : (rows, columns) float32
        Logits, one for each region.
    version
        Of Topaz.
    needs_variable
        Whether it reads such a file only with `VARIABLE` set in the environment.
    """

    scores: NDArray[np.float32]
    version: str
    needs_variable: bool


def topaz_score_map(
    python: str, model: Path | str, image: ArrayLike, *, setting: str = "convert.topaz_python"
) -> TopazScores:
    """Have an installed Topaz score every region of a prepared image, on one thread of the CPU.

    Parameters
    ----------
    python
        The python of the environment that Topaz is installed in.
    model
        A file of a whole module, or the name of one of its detectors.
    image : (rows, columns)
        Downsampled and normalised.
    setting
        That named the python, for messages.

    Raises
    ------
    TopazUnavailable
        There is no such python, or it has no Topaz.
    InputError
        Topaz cannot read the model or score the image.
    """
    version = topaz_version(python, setting=setting)
    with tempfile.TemporaryDirectory(prefix="pickery-topaz-") as made:
        folder = Path(made)
        write_mrc(folder / "image.mrc", np.asarray(image, dtype=np.float32), pixel_size_angstrom=None)
        words = [python, "-c", _RUN, "segment", "-m", str(model), "-d", "-1", "-j", "1"]
        words += ["-o", str(folder / "scores"), str(folder / "image.mrc")]
        done = _run(words, python, setting, {})
        needs_variable = done.returncode != 0 and "weights_only" in done.stderr
        if needs_variable:
            done = _run(words, python, setting, {VARIABLE: "1"})
        written = sorted((folder / "scores").glob("image.*"))
        if done.returncode != 0 and _last_line(done.stderr).startswith(("ModuleNotFoundError", "ImportError")):
            raise TopazUnavailable(f"{setting}={python}: its Topaz lacks what it needs ({_last_line(done.stderr)}).")
        if done.returncode != 0 or not written:
            raise InputError(f"Topaz {version} does not score an image with {model}: {_last_line(done.stderr)}")
        return TopazScores(read_micrograph(written[0]), version, needs_variable)


def topaz_version(python: str, *, setting: str = "convert.topaz_python") -> str:
    """Ask an installed Topaz for its version, such as ``0.2.5a``.

    Raises
    ------
    TopazUnavailable
        There is no such python, or it has no Topaz.
    """
    done = _run([python, "-c", _VERSION], python, setting, {})
    if done.returncode != 0:
        raise TopazUnavailable(
            f"{setting}={python} cannot import Topaz ({_last_line(done.stderr)}): give the python of the environment "
            "that Topaz is installed in, such as ~/miniconda3/envs/topaz/bin/python."
        )
    return done.stdout.strip()


def _run(words: list[str], python: str, setting: str, more: dict[str, str]) -> subprocess.CompletedProcess[str]:
    # this process's own choice of modules is not that python's
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | more
    if not more:
        environment.pop(VARIABLE, None)
    try:
        return subprocess.run(
            words,
            capture_output=True,
            text=True,
            errors="replace",
            env=environment,
            stdin=subprocess.DEVNULL,
            timeout=_LONGEST_S,
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(f"{setting}={python}: Topaz gave no answer within {_LONGEST_S // 60} minutes.") from error
    except OSError as error:
        raise TopazUnavailable(
            f"{setting}={python} cannot be run ({error.strerror or error}): give the python of the environment that "
            "Topaz is installed in, such as ~/miniconda3/envs/topaz/bin/python."
        ) from error


def _last_line(said: str) -> str:
    """Give the line in which a Python program says what went wrong."""
    lines = [line for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if not line.startswith(" ") and "Error" in line.split(":")[0]]
    return (errors or lines or ["it says nothing"])[-1].strip()[:300]
