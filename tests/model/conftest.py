"""Networks that every test of this room runs through."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pickery.model import Picker, build_model

REFERENCE = Path(__file__).parents[1] / "reference"
POOLINGS = {None: "none", "max": "max", "avg": "average"}
COMBINATIONS = [
    (architecture, pooling, batch_norm)
    for architecture in ("resnet8", "resnet16", "conv31", "conv63", "conv127")
    for pooling in ("none", "max" if architecture.startswith("resnet") else "average")
    for batch_norm in (True, False)
]


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def scramble(model: Picker, seed: int = 0) -> Picker:
    """Give a network running statistics, scales and slopes that are not the initial ones."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.uniform_(-0.3, 0.3, generator=generator)
                module.running_var.uniform_(0.5, 1.5, generator=generator)
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.uniform_(-0.3, 0.3, generator=generator)
    return model


def golden(name: str) -> tuple[Picker, dict[str, Tensor]]:
    """Return the network of a golden file, in evaluation, and the file's arrays."""
    with np.load(REFERENCE / f"dense_{name}.npz") as file:
        arrays = {key: torch.from_numpy(file[key]) for key in file.files if key != "settings"}
        settings = json.loads(str(file["settings"]))
    model = build_model(
        name.split("_")[0],
        units=settings["units"],
        batch_norm=settings["bn"],
        pooling=POOLINGS[settings.get("pooling")],
    )
    weights = {key.removeprefix("weights/"): value for key, value in arrays.items() if key.startswith("weights/")}
    model.load_state_dict(weights)
    return model.eval(), arrays
