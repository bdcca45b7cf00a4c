"""Reads tensors and module trees that torch.save wrote, without running anything that the file asks to run.

A pickle names functions to call. Of those, only the handful below is known here, each replaced by a function of our
own; a class of Topaz or torch.nn becomes an inert object that holds its state. Anything else ends the reading. Knows
torch's two file layouts: the zip archive (torch 1.6 and later) and the older stream of pickles, whose language
`pickle_machine` reads.
"""

import io
import math
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from pickery.errors import InputError
from pickery.model.pickle_machine import Bounded, Known, Refused, TakesState, fill, plain, run

_DTYPES = {
    "BFloat16Storage": torch.bfloat16,
    "BoolStorage": torch.bool,
    "ByteStorage": torch.uint8,
    "CharStorage": torch.int8,
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "ShortStorage": torch.int16,
}
LARGEST_SIDE = 1 << 40  # of a tensor: one without numbers may claim any
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_STAND_IN_MODULES = ("topaz.", "torch.nn.modules.")


class StandIn(TakesState):
    """An object of a class that is not run here: its state, and the name of its class.

    Attributes
    ----------
    class_name : str
        Module and name of the class in the file.
    state : dict
        What the file gives as the object's attributes.
    """

    def __init__(self, class_name: str) -> None:
        self.class_name = class_name
        self.state = {}


def read_torch_file(path: Path) -> Any:
    """Read what torch.save wrote: nested containers, numbers, strings, tensors (on the CPU) and `StandIn` objects.

    Raises
    ------
    InputError
        If the file asks to run code, is no such file, or is cut short.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
            file.seek(0)
            if start == b"PK\x03\x04":
                return _read_archive(file)
            if not start.startswith(b"\x80"):  # a pickle's; others could by chance read as a strange one
                raise ValueError("it does not begin as torch's files do")
            return _read_stream(Bounded(file))
    except Refused as refusal:
        raise InputError(
            f"{path} asks to run code ({refusal}) and was not opened further: only tensors and Topaz's own classes are "
            f"read. Take the file from its source again, or save the weights alone (a state dict)."
        ) from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None
    except InputError:
        raise
    except Exception as error:  # a broken pickle fails in any way there is
        raise InputError(
            f"{path} is not a file of weights that torch wrote, or it is cut short ({type(error).__name__}: {error}): "
            f"copy it again, or give another file."
        ) from None


Storage = Callable[[str, torch.dtype, int], Tensor]
"""Gives the numbers: (key, dtype, count) → 1-D tensor."""


def _load(file: Bounded, storage: Storage) -> Any:
    """Rebuild containers, tensors and stand-ins."""

    def referred(pid: Any) -> Any:
        match pid:
            case ("storage", torch.dtype() as dtype, str(key), _, int(count), *_):
                return storage(key, dtype, count)
            case ("module", Known() as stand_in, *_):
                return stand_in  # old files carry a class's source beside its name; it is left unread
        raise Refused(f"a reference of a kind that torch does not write: {str(pid)[:80]}")

    return run(file, _named, referred)


def _named(module: str, name: str) -> Any:
    """Give what a name in the file stands for here."""
    match module, name:
        case "collections", "OrderedDict":
            return Known(_ordered)
        case (("builtins" | "__builtin__"), "set"):
            return Known(lambda items=(): set(map(plain, items)))
        case "torch._utils", ("_rebuild_tensor" | "_rebuild_tensor_v2"):
            return Known(_rebuild_tensor)
        case "torch._utils", ("_rebuild_parameter" | "_rebuild_parameter_with_state"):
            return Known(_rebuild_parameter)
        case "torch", "Size":
            return Known(tuple)
        case "torch", name if name in _DTYPES:
            return _DTYPES[name]
        case module, name if module.startswith(_STAND_IN_MODULES):
            return Known(lambda *_: StandIn(f"{module}.{name}"))
    raise Refused(f"{module}.{name}"[:200])


def _ordered(items: Any = ()) -> OrderedDict[Any, Any]:
    made: OrderedDict[Any, Any] = OrderedDict()
    fill(made, ((key, value) for key, value in items))
    return made


def _rebuild_tensor(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object) -> Tensor:
    # a stride of 0 could repeat a number without end; torch's own product of the sides may overflow
    if min(size, default=0) < 0 or math.prod(size) > storage.numel() or max(size, default=0) > LARGEST_SIDE:
        raise ValueError(f"a tensor of shape {tuple(size)} in a storage of {storage.numel()} numbers")
    return storage.as_strided(size, stride, offset)


def _rebuild_parameter(data: Tensor, *_: object) -> Tensor:
    return data


def _numbers(data: bytes, dtype: torch.dtype, count: int) -> Tensor:
    if len(data) != count * dtype.itemsize:
        raise ValueError(f"{count} numbers were announced and {len(data)} bytes found")
    return torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.empty(0, dtype=dtype)


def _read_archive(file: BinaryIO) -> Any:
    """Read the zip layout: NAME/data.pkl, and the numbers of storage KEY in NAME/data/KEY."""
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        if any(name.endswith(("/constants.pkl", "/model.json")) for name in names):
            raise Refused("it is a TorchScript program")
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("its parts are compressed")
        pickles = [name for name in names if name.endswith("data.pkl")]
        if len(pickles) != 1:
            raise ValueError("it is a zip archive of something else")
        root = pickles[0].removesuffix("data.pkl")
        if root + "byteorder" in names and archive.read(root + "byteorder") != b"little":
            raise ValueError("its numbers are in big-endian order")
        if sum(entry.file_size for entry in archive.infolist()) > file.seek(0, io.SEEK_END):
            raise ValueError("its parts are larger than the whole")  # they would lie over one another
        storages: dict[str, Tensor] = {}

        def storage(key: str, dtype: torch.dtype, count: int) -> Tensor:
            if key not in storages:
                storages[key] = _numbers(archive.read(f"{root}data/{key}"), dtype, count)
            return storages[key]

        return _load(Bounded(io.BytesIO(archive.read(pickles[0]))), storage)


def _read_stream(file: Bounded) -> Any:
    """Read the older layout: magic number, protocol, system, the object, storage keys, then each storage's numbers."""
    announced: dict[str, tuple[torch.dtype, int]] = {}

    def announce(key: str, dtype: torch.dtype, count: int) -> Tensor:
        announced[key] = (dtype, count)
        return torch.empty(count, dtype=dtype, device="meta")

    def load() -> Any:
        return _load(file, announce)

    if load() != _LEGACY_MAGIC:
        raise ValueError("it does not begin as torch's files do")
    load()  # protocol version
    if not load()["little_endian"]:
        raise ValueError("its numbers are in big-endian order")
    start = file.tell()
    load()  # the object without its numbers, which tells the kind of each storage
    storages: dict[str, Tensor] = {}
    for key in map(plain, load()):
        dtype, count = announced[key]
        if int.from_bytes(file.read(8), "little") != count:
            raise ValueError(f"storage {key} is not as long as announced")
        storages[key] = _numbers(file.read(count * dtype.itemsize), dtype, count)
    file.seek(start)
    return _load(file, lambda key, dtype, count: storages[key])
