"""What all groups of settings have in common: strict, frozen, and able to say in words what each setting takes."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo

from pickery.decimals import word


@dataclass(frozen=True)
class Kind:
    """What a setting takes, where its type does not say it well enough.

    Attributes
    ----------
    words
        Completes the sentence "must be …".
    files
        Whether the shell should complete file names.
    text
        Whether it is text, in which any character may occur.
    many
        Whether it may be a list.
    """

    words: str
    files: bool = False
    text: bool = True
    many: bool = False


class Settings(BaseModel):
    """A group of settings: immutable, every name known, no value bent to fit, every number finite."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


def _text(value: object) -> object:
    """Let a name that looks like a whole number be a name: the command line reads ``run_name=7`` as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _no_bool(value: object) -> object:
    """Keep ``true`` from passing as 1."""
    if isinstance(value, bool):
        raise ValueError("not a number")
    return value


def _default_or_non_negative(value: float) -> float:
    if value != -1 and value < 0:
        raise ValueError("negative")
    return value


Text = Annotated[str, BeforeValidator(_text), Field(min_length=1), Kind("text")]
Folder = Annotated[str, BeforeValidator(_text), Field(min_length=1), Kind("a folder", files=True)]
File = Annotated[str, BeforeValidator(_text), Field(min_length=1), Kind("a file or a name", files=True)]
Place = Annotated[str, BeforeValidator(_text), Field(min_length=1), Kind("a file or a folder", files=True)]
Files = Annotated[
    Text | tuple[Text, ...], Kind("a file, a folder, a quoted glob or a list [a,b]", files=True, many=True)
]
Parts = Annotated[Text | tuple[Text, ...], Kind("a part of a name or a list [a,b]", many=True)]
Offset = Annotated[tuple[float, float], Kind("two numbers [x,y]", text=False, many=True)]
Stride = Annotated[Literal[1, 2, 4, 8, 16], BeforeValidator(_no_bool)]
Slack = Annotated[float, AfterValidator(_default_or_non_negative), Kind("-1 or a number of at least 0", text=False)]


def is_files(field: FieldInfo) -> bool:
    """Whether the shell should complete file names for this setting."""
    return any(isinstance(extra, Kind) and extra.files for _, extras in _members(field) for extra in extras)


def takes_text(field: FieldInfo) -> bool:
    """Whether a setting takes free text, such as the name of a file."""
    return any(isinstance(extra, Kind) and extra.text for _, extras in _members(field) for extra in extras)


def takes_list(field: FieldInfo) -> bool:
    """Whether a setting takes a list as well."""
    return any(isinstance(extra, Kind) and extra.many for _, extras in _members(field) for extra in extras)


def is_number(field: FieldInfo) -> bool:
    """Whether a setting takes any number, within its range."""
    return any(annotation in (int, float) for annotation, _ in _members(field))


def is_whole(field: FieldInfo) -> bool:
    """Whether a setting that takes numbers takes whole ones only."""
    return all(annotation is not float for annotation, _ in _members(field))


def choices(field: FieldInfo) -> tuple[object, ...]:
    """Every single value that a setting names: those of a choice, true and false, null; empty for a free one."""
    found: list[object] = []
    for annotation, _ in _members(field):
        if annotation is bool:
            found += [True, False]
        elif annotation is type(None):
            found.append(None)
        elif get_origin(annotation) is Literal:
            found += get_args(annotation)
    return tuple(found)


def kind(field: FieldInfo) -> str:
    """Say what a setting takes, to complete the sentence "must be …"."""
    words = [_words(annotation, extras) for annotation, extras in _members(field)]
    return " or ".join(words)


def limits(field: FieldInfo) -> str:
    """Say a number's range, such as "at least 0 and below 1"; empty where there is none."""
    return next((text for _, extras in _members(field) if (text := _range(extras))), "")


def as_word(value: object) -> str:
    """Write a value as the command line does."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return word(value)
    if isinstance(value, (list, tuple)):
        return f"[{','.join(as_word(item) for item in value)}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{as_word(item)}" for key, item in value.items()) + "}"
    return str(value)


def _members(field: FieldInfo) -> Iterator[tuple[Any, tuple[object, ...]]]:
    """Take a setting's type apart: the members of its union, each with what is known of it."""
    yield from _split(field.annotation, tuple(field.metadata))


def _split(annotation: Any, extras: tuple[object, ...]) -> Iterator[tuple[Any, tuple[object, ...]]]:
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *more = get_args(annotation)
        yield from _split(inner, (*extras, *more))
    elif origin in (Union, types.UnionType) and not any(isinstance(extra, Kind) for extra in extras):
        for member in get_args(annotation):
            yield from _split(member, extras)
    else:
        yield annotation, extras


def _words(annotation: Any, extras: tuple[object, ...]) -> str:
    for extra in extras:
        if isinstance(extra, Kind):
            return extra.words
    if annotation is bool:
        return "true or false"
    if annotation is type(None):
        return "null"
    if get_origin(annotation) is Literal:
        values = [as_word(value) for value in get_args(annotation)]
        return values[0] if len(values) == 1 else f"one of {', '.join(values)}"
    noun = {int: "a whole number", float: "a number"}[annotation]
    span = _range(extras)
    return " ".join([noun, "of", span] if span.startswith("at") else [noun, span]).strip()


def _range(extras: tuple[object, ...]) -> str:
    parts = []
    for extra in _flat(extras):
        match extra:
            case Ge(ge=value):
                parts.append(f"at least {value}")
            case Gt(gt=value):
                parts.append(f"above {value}")
            case Le(le=value):
                parts.append(f"at most {value}")
            case Lt(lt=value):
                parts.append(f"below {value}")
    return " and ".join(parts)


def _flat(extras: tuple[object, ...]) -> Iterator[object]:
    """Look into the ``Field(...)`` of an ``Annotated`` type, which keeps its limits as metadata."""
    for extra in extras:
        yield from extra.metadata if isinstance(extra, FieldInfo) else (extra,)
