import pytest
import torch

from pickery.errors import InputError, PickeryWarning
from pickery.model import build_model
from pickery.model.recognise import recognise
from pickery.model.weights import load_weights

from .conftest import COMBINATIONS, scramble


@pytest.mark.parametrize(("architecture", "pooling", "batch_norm"), COMBINATIONS)
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.filterwarnings("ignore::pickery.errors.PickeryWarning")
def test_a_state_dict_tells_its_network(tmp_path, architecture, pooling, batch_norm, zipped):
    settings = {"units": 3, "pooling": pooling, "batch_norm": batch_norm, "unit_scaling": 3 - zipped}
    model = scramble(build_model(architecture, **settings))
    path = tmp_path / "weights.sav"
    torch.save(model.state_dict(), path, _use_new_zipfile_serialization=zipped)
    loaded = load_weights(str(path))
    assert loaded.architecture == model.settings
    assert list(loaded.state_dict) == list(model.state_dict())
    assert all(torch.equal(tensor, loaded.state_dict[name]) for name, tensor in model.state_dict().items())
    assert architecture in loaded.description
    assert "3 units" in loaded.description
    assert ("average pooling" if pooling == "average" else "max pooling" if pooling == "max" else "") in (
        loaded.description
    )


def renumbered(state, numbers):
    """Name layers as Topaz does when dropout layers stand between them."""
    old = sorted({int(name.split(".")[2]) for name in state if name.startswith("features")})
    new = dict(zip(old, numbers, strict=True))
    return {
        ".".join([*name.split(".")[:2], str(new[int(name.split(".")[2])]), *name.split(".")[3:]])
        if name.startswith("features")
        else name: tensor
        for name, tensor in state.items()
    }


def test_names_shifted_by_dropout_layers_are_put_right():
    model = scramble(build_model("resnet8", units=2, pooling="max"))
    found = recognise(renumbered(model.state_dict(), [0, 3, 4, 7, 8]), source="weights.sav")
    assert found.settings["pooling"] == "max"
    assert list(found.state_dict) == list(model.state_dict())
    model = scramble(build_model("conv31", units=2, pooling="average"))
    found = recognise(renumbered(model.state_dict(), [0, 1, 2, 5, 6, 7, 10, 11, 12]), source="weights.sav")
    assert found.settings["pooling"] == "average"


def test_names_that_may_mean_pooling_or_dropout_are_read_as_pooling_with_a_warning():
    plain = build_model("resnet8", units=2)
    with pytest.warns(PickeryWarning, match=r"weights\.sav may have max pooling or dropout"):
        found = recognise(renumbered(plain.state_dict(), [0, 2, 3, 5, 6]), source="weights.sav")
    assert found.settings["pooling"] == "max"


def test_kinds_of_layers_settle_what_names_cannot():
    plain = build_model("resnet8", units=2)
    state = renumbered(plain.state_dict(), [0, 2, 3, 5, 6])
    kinds = ["BasicConv2d", "Dropout", "ResidA", "ResidA", "Dropout", "ResidA", "BasicConv2d", "Dropout"]
    found = recognise(state, layer_kinds=kinds, dropout=0.3, source="weights.sav")
    assert found.settings == plain.settings | {"dropout": 0.3}
    assert list(found.state_dict) == list(plain.state_dict())


def changed(**changes):
    state = dict(build_model("resnet8", units=2).state_dict())
    for name, value in changes.items():
        key = "features.features.1.conv0.weight" if name == "shape" else name
        if value is None:
            del state[key]
        else:
            state[key] = value
    return state


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({}, "does not hold a Topaz particle picker"),
        ({"enc1.weight": torch.zeros(2)}, "a parameter enc1.weight"),
        ({"features.features.0.weight": torch.zeros(2, 1, 7, 7)}, "does not hold a Topaz particle picker"),
        (changed(shape=torch.zeros(2, 2, 5, 5)), r"shape \(2, 2, 5, 5\), where \(2, 2, 3, 3\) is expected"),
        (changed(**{"classifier.bias": None}), "lacks the parameter classifier.bias"),
        (changed(**{"classifier.gain": torch.zeros(1)}), "classifier.gain that is not known"),
        (renumbered(changed(), [0, 1, 2, 9, 12]), "fits no resnet8"),
    ],
)
@pytest.mark.filterwarnings("ignore::pickery.errors.PickeryWarning")
def test_other_weights_are_refused_in_words(state, words):
    with pytest.raises(InputError, match=words) as error:
        recognise(state, source="weights.sav")
    assert "weights.sav" in str(error.value)


def test_counters_missing_in_old_files_are_filled_in():
    model = build_model("conv31", units=2)
    state = {name: tensor for name, tensor in model.state_dict().items() if "num_batches" not in name}
    found = recognise(state, source="weights.sav")
    model.load_state_dict(found.state_dict)
