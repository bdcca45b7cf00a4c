"""Model files that would run something, take all memory, hang or crash the process: refused, and nothing is run."""

import copyreg
import io
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from pickery.errors import InputError
from pickery.model.weights import load_model_file, load_weights
from pickery.training.callbacks import find_checkpoint
from tests.hostile.alone import outcomes

MIB = 1 << 20


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def short(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


TOUCH = text("touch BAD")
SYSTEM = b"cos\nsystem\n"
CALLS = [
    *("os system", "posix system", "nt system", "subprocess Popen", "subprocess getoutput", "builtins eval"),
    *(
        "builtins exec",
        "builtins __import__",
        "builtins getattr",
        "builtins open",
        "__builtin__ eval",
        "runpy run_path",
    ),
    *("pickle loads", "_pickle loads", "codecs decode", "_codecs encode", "operator attrgetter", "functools partial"),
    *("importlib import_module", "copyreg _reconstructor", "types FunctionType", "ctypes CDLL", "torch load"),
    *("torch.serialization load", "torch.hub load", "torch.jit load", "torch._utils _import_dotted_name"),
    *("torch.storage _load_from_bytes", "torch._utils _rebuild_tensor_v2.__globals__", "builtins set.__class__"),
    *(
        "collections OrderedDict.__init__",
        "numpy load",
        "runpy run_path",
        "numpy._core.multiarray _reconstruct",
        "pip main",
    ),
    *("webbrowser open", "socket create_connection", "shutil rmtree", "mlflow.pyfunc load_model", "dill loads"),
]
REFUSED = {
    **{f"reduce {name}": b"\x80\x02c" + name.replace(" ", "\n").encode() + b"\n" + TOUCH + b"\x85R." for name in CALLS},
    "reduce by STACK_GLOBAL": b"\x80\x04" + short("os") + short("system") + b"\x93" + TOUCH + b"\x85R.",
    "NEWOBJ": b"\x80\x02" + SYSTEM + TOUCH + b"\x85\x81.",
    "NEWOBJ_EX": b"\x80\x04" + SYSTEM + TOUCH + b"\x85}\x92.",
    "INST": b"(" + TOUCH + b"ios\nsystem\n.",
    "INST of a known name": b"\x80\x02(icollections\nOrderedDict\n.",
    "OBJ": b"\x80\x02(" + SYSTEM + TOUCH + b"o.",
    "BUILD with __setstate__": b"\x80\x02ctopaz.a\nB\n)\x81}" + text("__setstate__") + SYSTEM + b"sb" + TOUCH + b"b.",
    "BUILD with __class__": b"\x80\x02ctopaz.a\nB\n)\x81}" + text("__class__") + SYSTEM + b"sb.",
    "EXT1": b"\x80\x02\x82\xf0" + TOUCH + b"\x85R.",
    "EXT2": b"\x80\x02\x83\xf0\x00" + TOUCH + b"\x85R.",
    "EXT4": b"\x80\x02\x84\xf0\x00\x00\x00" + TOUCH + b"\x85R.",
    "PERSID": b"Pos.system\n.",
    "BINPERSID": b"\x80\x02" + text("os.system") + b"Q.",
    "BINPERSID of a module": b"\x80\x02(" + text("module") + SYSTEM + text("x") + text("y") + b"tQ.",
    "BINPERSID of a storage": b"\x80\x02(" + text("storage") + SYSTEM + text("0") + text("cpu") + b"K\x01NtQ.",
    "BYTEARRAY8": b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b"x.",
    "NEXT_BUFFER": b"\x80\x05\x97.",
    "a call of what was called before": b"\x80\x02" + SYSTEM + b"q\x000h\x00" + TOUCH + b"\x85R.",
    "in a set": b"\x80\x04\x8f(" + SYSTEM + TOUCH + b"\x85R\x90.",
    "in a tuple of a dict of a list": b"\x80\x02]}" + text("a") + SYSTEM + TOUCH + b"\x85R\x85sa.",
}
USELESS = {
    "dtype called": b"\x80\x02ctorch\nFloatStorage\n)R.",
    "tensor of strings": b"\x80\x02ctorch._utils\n_rebuild_tensor\n(" + TOUCH * 4 + b"tR.",
    "string called": b"\x80\x02" + TOUCH + b")R.",
    "nothing on the stack": b"\x80\x020R.",
    "a mark that is not there": b"\x80\x02t.",
    "an object without end": b"\x80\x02]q\x00h\x00a.",
    "a whole number of two thousand bits": b"\x80\x02\x8a\xff" + b"\x7f" * 255 + b".",
    "a class for each byte": b"\x80\x02]" + b"ctopaz.\na\na" * 50_000 + b".",
    "referred to by a high number": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "a text longer than the file": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 34) + b"x.",
    "a key of tuples in one another": b"\x80\x02})" + b"\x85" * 200_000 + b"K\x01s.",
    "a set of tuples in one another": b"\x80\x04\x8f()" + b"\x85" * 200_000 + b"\x90.",
    "a set made of tuples in one another": b"\x80\x02cbuiltins\nset\n])" + b"\x85" * 200_000 + b"a\x85R.",
    "lists in one another": b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".",
    "dicts in one another": b"\x80\x02" + b"}K\x00" * 100_000 + b"N" + b"s" * 100_000 + b".",
    "a pickle of more than 16 MiB": b"\x80\x02" + text("x" * 17 * MIB) + b"\x85.",
}


def archived(data: bytes) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("x/data.pkl", data)
        archive.writestr("x/version", "3\n")
    return written.getvalue()


def streamed(data: bytes) -> bytes:
    start = (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}})
    return b"".join(pickle.dumps(part, 2) for part in start) + data + pickle.dumps([], 2)


LAYOUTS = {"archive": archived, "stream": streamed, "plain": lambda data: data}


@pytest.fixture(autouse=True)
def _in_an_empty_folder_with_an_extension(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    copyreg.add_extension("os", "system", 240)
    yield
    copyreg.remove_extension("os", "system", 240)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("trick", REFUSED)
def test_nothing_that_a_pickle_asks_to_call_is_called(tmp_path: Path, trick: str, layout: str) -> None:
    path = tmp_path / "model.ckpt"
    path.write_bytes(LAYOUTS[layout](REFUSED[trick]))
    for read in (lambda: load_weights(str(path)), lambda: load_model_file(path), lambda: find_checkpoint(path)):
        with pytest.raises(InputError, match=r"model\.ckpt"):
            read()
    assert [file.name for file in tmp_path.iterdir()] == ["model.ckpt"]


def test_the_same_pickles_do_run_something_elsewhere(tmp_path: Path) -> None:
    """Else the test above would show nothing."""
    for trick in ("reduce os system", "reduce by STACK_GLOBAL", "INST", "OBJ", "EXT1"):
        pickle.loads(REFUSED[trick])
        (tmp_path / "BAD").unlink()


@pytest.mark.slow
def test_pickles_that_take_memory_or_hash_without_end_are_refused(tmp_path: Path) -> None:
    """The same crash Python's unpickler (and torch's, over the keys), or make it take gigabytes."""
    files = []
    for name, layout in LAYOUTS.items():
        for number, data in enumerate(USELESS.values()):
            path = tmp_path / f"{name}-{number}.sav"
            path.write_bytes(layout(data))
            files += [("model-sav", path), ("last-ckpt", path)]
    for path, outcome in outcomes(files, memory_bytes=512 * MIB, seconds=120).items():
        assert path.name in outcome.said


def test_modules_that_hold_one_another_are_not_walked_without_end(tmp_path: Path) -> None:
    """Each holds the next one twice: forty of them stand for a million million."""
    made = b"\x80\x02ctopaz.model\nM\n("
    for level in range(40):
        inner = b"" if level == 0 else text("a") + b"h\x00s" + text("b") + b"h\x00s"
        made += b"ctopaz.model\nM\n)\x81}" + text("_modules") + b"}" + inner + b"sbq\x00"
    files = []
    for name, layout in LAYOUTS.items():
        (tmp_path / f"{name}.sav").write_bytes(
            layout(made + b"t\x81}" + text("_modules") + b"}" + text("a") + b"h\x00ssb.")
        )
        files.append(("model-sav", tmp_path / f"{name}.sav"))
    for outcome in outcomes(files, memory_bytes=512 * MIB).values():
        assert "not a Topaz particle picker" in outcome.said or "torch wrote" in outcome.said


TENSORS = {
    "larger than its numbers": (4, (5,), (1,), 0),
    "one number a million times": (1, (1_000_000,), (0,), 0),
    "sides whose product overflows": (1, (1 << 32, 1 << 32), (0, 0), 0),
    "no numbers on a side of exabytes": (1, (1 << 60, 0), (0, 0), 0),
    "a negative side": (4, (-1,), (1,), 0),
    "a negative offset": (4, (2,), (1,), -2),
    "beyond its numbers": (4, (4,), (1,), 3),
    "a stride beyond them": (4, (2,), (100,), 0),
    "numbers beyond memory": (1 << 40, (4,), (1,), 0),
    "fewer than none": (-4, (0,), (1,), 0),
}


@pytest.mark.parametrize("case", TENSORS)
def test_tensors_that_are_not_there_are_refused(tmp_path: Path, case: str) -> None:
    count, size, stride, offset = TENSORS[case]

    def number(value: int) -> bytes:
        return pickle.dumps(value, 2)[2:-1]

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(map(number, values)) + b"t"

    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + number(count) + b"NtQ"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(offset) + numbers(size) + numbers(stride)
    data = b"\x80\x02}" + text("classifier.weight") + tensor + b"\x89ccollections\nOrderedDict\n)RtRs."
    with zipfile.ZipFile(tmp_path / "a.sav", "w") as archive:
        archive.writestr("x/data.pkl", data)
        archive.writestr("x/data/0", bytes(16))
    keys, held = pickle.dumps(["0"], 2), struct.pack("<q", count) + bytes(16)
    (tmp_path / "b.sav").write_bytes(streamed(data)[: -len(pickle.dumps([], 2))] + keys + held)
    for path in (tmp_path / "a.sav", tmp_path / "b.sav"):
        with pytest.raises(InputError, match=path.name):
            load_weights(str(path))


def test_archives_of_other_shapes_are_refused(tmp_path: Path) -> None:
    harmless = pickle.dumps({}, 2)
    evil = REFUSED["reduce os system"]
    shapes: dict[str, list[tuple[str, bytes, int]]] = {
        "compressed": [("x/data.pkl", b"\x80\x02" + b"N0" * (64 * MIB) + b"N.", zipfile.ZIP_DEFLATED)],
        "two pickles": [("x/data.pkl", harmless, 0), ("y/data.pkl", evil, 0)],
        "one in another": [("x/data.pkl", archived(evil), 0)],
        "climbing": [("../../data.pkl", evil, 0)],
        "a program": [("x/data.pkl", harmless, 0), ("x/constants.pkl", evil, 0)],
        "big-endian": [("x/data.pkl", harmless, 0), ("x/byteorder", b"big", 0)],
        "nothing": [],
    }
    files = []
    for name, parts in shapes.items():
        with zipfile.ZipFile(tmp_path / f"{name}.ckpt", "w") as archive:
            for part, data, compression in parts:
                archive.writestr(part, data, compression)
        files += [("model-ckpt", tmp_path / f"{name}.ckpt"), ("last-ckpt", tmp_path / f"{name}.ckpt")]
    # a hundred thousand entries of the directory that all name the same bytes
    data = archived(pickle.dumps(["x" * 60_000], 2))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entry = data[archive.start_dir : data.index(b"PK\x01\x02", archive.start_dir + 4)]
        many = b"".join(entry.replace(b"x/data.pkl", b"x/data/%03d" % number) for number in range(999))
        end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 1000, 1000, len(many) + len(entry), archive.start_dir, 0)
        (tmp_path / "overlapping.ckpt").write_bytes(data[: archive.start_dir] + entry + many + end)
    files.append(("model-ckpt", tmp_path / "overlapping.ckpt"))
    # the layout of torch before 0.1.10: a tar of pickles
    with tarfile.open(tmp_path / "old.ckpt", "w") as tar:
        for name in ("sys_info", "pickle", "tensors", "storages"):
            member = tarfile.TarInfo(name)
            member.size = len(evil)
            tar.addfile(member, io.BytesIO(evil))
    files.append(("model-ckpt", tmp_path / "old.ckpt"))
    for path, outcome in outcomes(files, memory_bytes=256 * MIB).items():
        assert path.name in outcome.said
    assert not (tmp_path / "BAD").exists()


SPOILT = [
    {"version": "99"},
    {"version": 10**300},
    {"architecture": None},
    {"architecture": {"architecture": "conv31", "units": 10**12}},
    {"architecture": {"architecture": "conv31", "units": -1}},
    {"architecture": {"architecture": ["conv31"]}},
    {"architecture": {"architecture": "conv31", "dropout": "much"}},
    {"state_dict": None},
    {"state_dict": {"classifier.weight": "x"}},
    {"preprocess": [1, 2]},
    {"preprocess": {"downsample": "x"}},
    {"preprocess": {"method": "gmm"}},
    {"picking": {"extraction_radius": "x"}},
    {"picking": {"threshold_best_f1": [1]}},
    {"provenance": {"seed": float("inf")}},
    {"provenance": "x"},
]


@pytest.mark.parametrize("change", SPOILT, ids=str)
def test_a_model_file_that_says_nonsense_of_itself_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    from pickery.picking.model import open_model
    from tests.hostile.readers import READERS

    (good,) = [path for path in READERS["model-ckpt"].corpus() if path.name == "model.ckpt"]
    content = torch.load(good, weights_only=True)
    assert open_model(str(good), root=tmp_path, uri=None).seed == content["provenance"]["seed"]
    torch.save(content | change, tmp_path / "model.ckpt")
    with pytest.raises(InputError, match=r"model\.ckpt"):
        open_model(str(tmp_path / "model.ckpt"), root=tmp_path, uri=None)


@pytest.mark.parametrize(
    "names",
    [
        [1, 2],
        [""],
        ["features.features."],
        ["features.features.²"],
        ["features.features." + "9" * 5000],
        ["classifier."],
    ],
    ids=lambda names: str(names)[:30],
)
def test_weights_under_strange_names_are_refused(tmp_path: Path, names: list[object]) -> None:
    torch.save(dict.fromkeys(names, torch.zeros(())), tmp_path / "state.sav")
    with pytest.raises(InputError, match=r"state\.sav"):
        load_weights(str(tmp_path / "state.sav"))


@pytest.mark.parametrize("shape", [(), (0,), (0, 0, 0, 0), (1 << 20, 0, 1, 1), (1, 1, 1, 1)])
def test_weights_of_strange_shapes_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    names = [f"features.features.{number}.weight" for number in range(0, 9)] + ["classifier.weight", "classifier.bias"]
    torch.save(dict.fromkeys(names, torch.zeros(shape)), tmp_path / "state.sav")
    with pytest.raises(InputError, match=r"state\.sav"):
        load_weights(str(tmp_path / "state.sav"))
