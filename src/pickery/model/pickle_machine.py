"""The part of pickle's language that torch.save writes, read word by word; knows nothing of torch.

Not by Python's own unpickler, nor by torch's with `weights_only`: a few bytes make the one ask for any amount of memory
(a high number in the list of what is referred to again), and both crash the process over a key that is a tuple in a
tuple a hundred thousand times. Here a word that torch does not write ends the reading, keys are plain, and nothing is
called but what the reader of the file itself gives for a name.
"""

import io
import pickletools
from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

LARGEST_BYTES = 1 << 24
"""Of a pickle: the numbers lie beside it, and a network's names need some thousands."""

_VALUES = frozenset(
    "BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINSTRING SHORT_BINSTRING"
    " BINBYTES SHORT_BINBYTES".split()
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, Callable[[], Any]] = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple, "EMPTY_SET": set}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class Refused(Exception):
    """The file names something that is not known here."""


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What a name in the file stands for, where it may be called."""

    call: Callable[..., Any]


class Bounded:
    """A file that is never asked for more than it has, for which memory would be set aside at once."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        here = file.tell()
        self._size = file.seek(0, io.SEEK_END)
        file.seek(here)

    def read(self, count: int) -> bytes:
        """Read so many bytes.

        Raises
        ------
        EOFError
            There are fewer.
        """
        if not 0 <= count <= self._size - self._file.tell():
            raise EOFError(f"{count} bytes were announced, and the file ends before")
        return self._file.read(count)

    def readline(self) -> bytes:
        """Read a line."""
        return self._file.readline()

    def tell(self) -> int:
        """Say where the next byte lies."""
        return self._file.tell()

    def seek(self, place: int) -> None:
        """Go on from another place."""
        self._file.seek(place)


class TakesState:
    """An object that the file gives attributes.

    Attributes
    ----------
    state : dict
        The attributes.
    """

    state: dict[Any, Any]


def run(file: Bounded, named: Callable[[str, str], Any], referred: Callable[[Any], Any]) -> Any:
    """Read one pickle, up to its end and no further.

    Parameters
    ----------
    named
        (module, name) → what stands for it here; what is to be called is a `Known`. Raises `Refused` over others.
    referred
        What the file gives for something that lies beside the pickle → that. Raises `Refused` likewise.

    Raises
    ------
    Refused
        The pickle asks for what torch does not write.
    Exception
        It is broken.
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}
    start = file.tell()

    def since_mark() -> list[Any]:
        place = marks.pop()
        taken = stack[place:]
        del stack[place:]
        return taken

    for code, argument, position in pickletools.genops(cast(BinaryIO, file)):
        if position is not None and position - start > LARGEST_BYTES:
            raise ValueError(f"what describes its numbers has more than {LARGEST_BYTES >> 20} MiB")
        word = code.name
        if word in _VALUES:
            stack.append(argument)
        elif word in _CONSTANTS:
            stack.append(_CONSTANTS[word])
        elif word in _EMPTY:
            stack.append(_EMPTY[word]())
        elif word in _TUPLES:
            count = _TUPLES[word]
            stack[-count:] = [tuple(_last(stack, count))]
        else:
            match word:
                case "PROTO" | "FRAME":
                    pass
                case "MARK":
                    marks.append(len(stack))
                case "TUPLE":
                    stack.append(tuple(since_mark()))
                case "APPEND":
                    value = stack.pop()
                    _a(list, stack[-1]).append(value)
                case "APPENDS":
                    values = since_mark()
                    _a(list, stack[-1]).extend(values)
                case "SETITEM":
                    key, value = _last(stack, 2)
                    del stack[-2:]
                    fill(stack[-1], [(key, value)])
                case "SETITEMS":
                    values = since_mark()
                    fill(stack[-1], zip(values[::2], values[1::2], strict=True))
                case "ADDITEMS":
                    values = since_mark()
                    _a(set, stack[-1]).update(map(plain, values))
                case "BINPUT" | "LONG_BINPUT":
                    memo[_a(int, argument)] = stack[-1]
                case "MEMOIZE":
                    memo[len(memo)] = stack[-1]
                case "BINGET" | "LONG_BINGET":
                    stack.append(memo[_a(int, argument)])
                case "GLOBAL":
                    module, _, name = str(argument).partition(" ")
                    stack.append(named(module, name))
                case "STACK_GLOBAL":
                    module, name = (_a(str, text) for text in _last(stack, 2))
                    stack[-2:] = [named(module, name)]
                case "BINPERSID":
                    stack.append(referred(stack.pop()))
                case "REDUCE" | "NEWOBJ":
                    known, arguments = _last(stack, 2)
                    stack[-2:] = [_a(Known, known).call(*_a(tuple, arguments))]
                case "BUILD":
                    state = stack.pop()
                    # a dict may have a state too (that of a state dict), which is not needed
                    if isinstance(stack[-1], TakesState) and isinstance(state, dict):
                        stack[-1].state = state
                case "STOP":
                    (result,) = stack
                    return result
                case _:
                    said = f" {argument}" if isinstance(argument, str) else ""
                    raise Refused(f"{word}{said}"[:200])
    raise ValueError("it has no end")


def fill(mapping: Any, items: Iterable[tuple[Any, Any]]) -> None:
    """Put items into a dict; their keys must be plain."""
    target: MutableMapping[Any, Any] = _a(dict, mapping)
    for key, value in items:
        target[plain(key)] = value


def plain(key: Any) -> Any:
    """Give a key that is a string or a number; hashing a tuple could go deeper than the process can.

    Raises
    ------
    ValueError
        It is something else.
    """
    if key is not None and not isinstance(key, str | bytes | int | float):
        raise ValueError(f"a key that is a {type(key).__name__}")
    return key


def _last(stack: list[Any], count: int) -> list[Any]:
    if len(stack) < count:
        raise ValueError("it takes more than it has")
    return stack[-count:]


def _a(kind: type[Any], value: Any) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"a {type(value).__name__} where a {kind.__name__} belongs")
    return value
