"""Batch normalisation shared by processes does what one process does with the whole minibatch."""

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pickery.model import build_model
from pickery.model.decoder import decoder_for
from pickery.model.dense import DenseScorer
from pickery.model.synchronised import SynchronisedBatchNorm, synchronise

STEPS, IMAGES, SIDE = 3, 12, 9


def network() -> nn.Sequential:
    """Give two normalised layers, the second of which sees what the first makes of all images."""
    torch.manual_seed(3)
    # a bias before normalisation has no gradient but rounding
    layers = [
        nn.Conv2d(1, 4, 3, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 3, 3, bias=False),
        nn.BatchNorm2d(3),
    ]
    for layer in layers:
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 2)
            nn.init.normal_(layer.bias)
    return nn.Sequential(*layers)


def images(offset: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return offset + torch.randn(STEPS, IMAGES, 1, SIDE, SIDE, generator=generator)


def passes(model: nn.Module, minibatches: torch.Tensor, part: slice, *, gather: bool) -> dict[str, Any]:
    """Train for some minibatches on a part of each; gradients are summed over the parts."""
    outputs, gradients = [], []
    for minibatch in minibatches:
        x = minibatch[part].clone().contiguous(memory_format=torch.channels_last).requires_grad_()
        output = model(x)
        ((0.01 * output**3).sum() + output.flatten(1).logsumexp(1).sum()).div(IMAGES).backward()
        for parameter in model.parameters():
            assert parameter.grad is not None
            if gather:
                torch.distributed.all_reduce(parameter.grad)
        assert x.grad is not None
        outputs.append(output.detach())
        gradients.append([x.grad, *[parameter.grad for parameter in model.parameters()]])
        model.zero_grad()
    return {"outputs": outputs, "gradients": gradients, "state": model.state_dict()}


def a_process(rank: int, size: int, folder: Path, offset: float) -> None:
    torch.set_num_threads(1)
    store = torch.distributed.FileStore(str(folder / "store"), size)
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=size)
    model = network()
    synchronise(model)
    found = passes(model, images(offset), slice(rank, None, size), gather=True)
    torch.save(found, folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def assert_equal(one: torch.Tensor, single: torch.Tensor, double: torch.Tensor, *, close: float = 1e-6) -> None:
    """Hold a tensor of the processes against that of one process in double precision, and its in single precision."""
    scale = max(1.0, float(double.abs().max()))
    lost_anyway = float((single - double).abs().max())
    assert float((one - double).abs().max()) <= close * scale + 2 * lost_anyway


@pytest.mark.slow
@pytest.mark.parametrize(("size", "offset"), [(2, 0.0), (3, 50.0)])
def test_processes_together_normalise_as_one_does(size: int, offset: float, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=a_process, args=(rank, size, tmp_path, offset)) for rank in range(size)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    parts = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(size)]
    single = passes(network(), images(offset), slice(None), gather=False)
    double = passes(network().double(), images(offset).double(), slice(None), gather=False)
    for step in range(STEPS):
        for rank, part in enumerate(parts):
            share = slice(rank, None, size)
            assert_equal(part["outputs"][step], single["outputs"][step][share], double["outputs"][step][share])
            ours, theirs, true = (found["gradients"][step] for found in (part, single, double))
            assert_equal(ours[0], theirs[0][share], true[0][share])
            for tensors in zip(ours[1:], theirs[1:], true[1:], strict=True):
                assert_equal(*tensors)
    for part in parts:
        assert part["state"].keys() == single["state"].keys()
        for name, value in part["state"].items():
            assert_equal(value, single["state"][name], double["state"][name])


def test_alone_it_is_its_parent_to_the_last_bit() -> None:
    one, other = network(), network()
    synchronise(other)
    for training in (True, False):
        found = [passes(model.train(training), images(0), slice(None), gather=False) for model in (one, other)]
        assert all(torch.equal(*pair) for pair in zip(found[0]["outputs"], found[1]["outputs"], strict=True))
        assert all(torch.equal(found[0]["state"][name], found[1]["state"][name]) for name in found[0]["state"])


@pytest.mark.parametrize("architecture", ["resnet8", "conv31"])
def test_a_picker_and_its_decoder_keep_their_weights_their_names_and_their_dense_scores(architecture: str) -> None:
    model = build_model(architecture, units=4)
    image = torch.randn(1, 1, 90, 90, generator=torch.Generator().manual_seed(2))
    before, scores = {name: value.clone() for name, value in model.state_dict().items()}, DenseScorer(model)(image)
    parts: list[nn.Module] = [model] if architecture == "resnet8" else [model, decoder_for(model, units=4)]
    for part in parts:
        synchronise(part)
        layers = [layer for layer in part.modules() if isinstance(layer, nn.BatchNorm2d)]
        assert layers
        assert all(isinstance(layer, SynchronisedBatchNorm) for layer in layers)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert before.keys() == model.state_dict().keys()
    assert torch.equal(DenseScorer(model)(image), scores)
