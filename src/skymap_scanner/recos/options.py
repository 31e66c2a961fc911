"""Settings of a reconstruction: a frozen dataclass with documented fields, read from ``k=v`` texts.

A reco declares its settings once::

    @dataclass(frozen=True, slots=True)
    class Options:
        sigma_ns: float = option(15.0, help="timing uncertainty", unit="ns", minimum=0.1)

and everything else follows: ``--reco-option sigma_ns=10``, its checks, the listing of
``skymap-scanner recos`` and the entry in the result.
"""

from __future__ import annotations

import dataclasses
import math
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

from skymap_scanner.exceptions import PluginError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "NoOptions",
    "OptionInfo",
    "describe",
    "list_options",
    "option",
    "parse_assignments",
    "parse_options",
]

#: Where the user gave the value; named in every error.
PLACE = "--reco-option"

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class NoOptions:
    """Settings of a reco that has none."""


@dataclass(frozen=True, slots=True)
class OptionInfo:
    """One setting, as ``skymap-scanner recos`` shows it.

    Attributes
    ----------
    name, type_name : str
        ``number``, ``integer``, ``true or false``, ``text`` or the legal words.
    default : object
        Value where the user says nothing.
    unit, help : str
        Unit ("" for a pure number or a word) and one sentence.
    """

    name: str
    type_name: str
    default: object
    unit: str
    help: str

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.name} ({self.type_name}, default {_show(self.default)}{unit})"


def option(
    default: object,
    *,
    help: str,  # noqa: A002  # the word of argparse, and of the field it ends up in
    unit: str = "",
    choices: Sequence[str] | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
) -> Any:
    """Declare one setting as a field of a frozen dataclass.

    Parameters
    ----------
    default : bool, int, float, str or None
        Value where the user says nothing; must fit the field's annotation.
    help : str
        One sentence for the user.
    unit : str
        Unit of the value, "" for a pure number or a word.
    choices : sequence of str, optional
        The legal words of a text.
    minimum, maximum : float, optional
        Smallest and largest legal number, both included.

    Returns
    -------
    dataclasses.Field
        Typed Any, as `dataclasses.field` is, so that the annotation is the field's own.
    """
    metadata = {
        "help": help,
        "unit": unit,
        "choices": tuple(choices) if choices is not None else None,
        "minimum": minimum,
        "maximum": maximum,
    }
    return dataclasses.field(default=default, metadata=metadata)


def list_options(options_type: type[Any]) -> tuple[OptionInfo, ...]:
    """List the settings that a reco has, in the order of their declaration.

    Raises
    ------
    PluginError
        `options_type` is not a dataclass, or a field has neither a default nor a type we can read.
    """
    if not dataclasses.is_dataclass(options_type):
        msg = f"options_type must be a frozen dataclass, not {options_type!r}"
        raise PluginError(msg)
    return tuple(
        OptionInfo(
            name=field.name,
            type_name=_type_name(field, kinds),
            default=_default(options_type, field),
            unit=str(field.metadata.get("unit", "")),
            help=str(field.metadata.get("help", "")),
        )
        for field, kinds in _fields(options_type)
    )


def parse_assignments(texts: Sequence[str]) -> dict[str, str]:
    """Split ``k=v`` texts as the command line gives them.

    Raises
    ------
    UsageError
        A text without ``=`` or key, or two different values for one key.

    Examples
    --------
    >>> parse_assignments(["variations=classic", "sigma_ns=10"])
    {'variations': 'classic', 'sigma_ns': '10'}
    """
    values: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key, value = key.strip(), value.strip()
        if not equals or not key:
            raise UsageError("not a setting", place=PLACE, found=repr(text), wanted="key=value")
        if values.setdefault(key, value) != value:
            raise UsageError(
                f"two values for {key}",
                place=PLACE,
                found=f"{values[key]!r} and {value!r}",
                wanted="one",
            )
    return values


def parse_options(options_type: type[Any], values: Mapping[str, str], reco_name: str) -> Any:
    """Make a reco's settings from texts; what is not named keeps its default.

    Parameters
    ----------
    options_type : type
        The reco's frozen dataclass.
    values : mapping of str to str
        What the user wants otherwise.
    reco_name : str
        For the error.

    Returns
    -------
    object of type `options_type`

    Raises
    ------
    UsageError
        A name that the reco does not have (the known ones are listed with their defaults), or a
        value that is not of its type or outside its limits.
    """
    infos = {info.name: info for info in list_options(options_type)}
    for name in values:
        if name not in infos:
            known = ", ".join(str(info) for info in infos.values())
            raise UsageError(
                f"reco {reco_name} has no setting {name!r}",
                place=PLACE,
                found=f"{name}={values[name]}",
                wanted=f"one of: {known}" if known else "none: it has no settings",
            )
    parsed: dict[str, object] = {}
    for field, kinds in _fields(options_type):
        if field.name not in values:
            continue
        text = str(values[field.name]).strip()
        try:
            parsed[field.name] = _parse(text, field, kinds)
        except ValueError as error:
            unit = f" in {info.unit}" if (info := infos[field.name]).unit else ""
            raise UsageError(
                f"illegal value for setting {field.name} of reco {reco_name}",
                place=PLACE,
                found=f"{field.name}={text}",
                wanted=f"{info.type_name}{unit}, default {_show(info.default)} ({info.help})",
            ) from error
    try:
        return options_type(**parsed)
    except UsageError:
        raise
    except ValueError as error:  # a __post_init__ that checks settings against each other
        raise UsageError(
            f"illegal settings for reco {reco_name}: {error}",
            place=PLACE,
            found=" ".join(f"{key}={value}" for key, value in values.items()),
        ) from error


def describe(options: object) -> dict[str, object]:
    """Return the settings as plain JSON values, to be recorded with a result."""
    if not dataclasses.is_dataclass(options) or isinstance(options, type):
        return {}
    return {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}


def _fields(options_type: type[Any]) -> list[tuple[dataclasses.Field[Any], tuple[object, ...]]]:
    """Return each field with the kinds of value that its annotation allows."""
    try:
        hints = get_type_hints(options_type)
    except NameError as error:
        msg = f"cannot read the annotations of {options_type.__qualname__}: {error}"
        raise PluginError(msg) from error
    return [
        (field, _kinds(hints[field.name], f"{options_type.__qualname__}.{field.name}"))
        for field in dataclasses.fields(options_type)
        if field.init
    ]


def _kinds(hint: object, where: str) -> tuple[object, ...]:
    """Flatten ``float | None`` and ``Literal["a", "b"]`` to a tuple of types, None and words."""
    if get_origin(hint) in {Union, types.UnionType}:
        return tuple(kind for part in get_args(hint) for kind in _kinds(part, where))
    if get_origin(hint) is Literal and all(isinstance(word, str) for word in get_args(hint)):
        return get_args(hint)
    if hint in {bool, int, float, str}:
        return (hint,)
    if hint is type(None):
        return (None,)
    msg = f"{where}: a setting is a bool, int, float, str, a Literal of words or one of them | None"
    raise PluginError(msg)


def _choices(field: dataclasses.Field[Any], kinds: tuple[object, ...]) -> tuple[str, ...] | None:
    """Return the legal words of a text setting, or None where any text is."""
    words = tuple(kind for kind in kinds if isinstance(kind, str))
    return words or field.metadata.get("choices")


def _type_name(field: dataclasses.Field[Any], kinds: tuple[object, ...]) -> str:
    choices = _choices(field, kinds)
    names: dict[object, str] = {bool: "true or false", int: "integer", float: "number", str: "text"}
    if choices is not None:
        name = " or ".join(choices)
    else:
        name = " or ".join(names[kind] for kind in kinds if kind is not None)
    low, high = field.metadata.get("minimum"), field.metadata.get("maximum")
    if low is not None and high is not None:
        name += f" from {low:g} to {high:g}"
    elif low is not None:
        name += f" >= {low:g}"
    elif high is not None:
        name += f" <= {high:g}"
    return f"{name} or none" if None in kinds else name


def _default(options_type: type[Any], field: dataclasses.Field[Any]) -> object:
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    msg = f"{options_type.__qualname__}.{field.name}: a setting needs a default"
    raise PluginError(msg)


def _parse(text: str, field: dataclasses.Field[Any], kinds: tuple[object, ...]) -> object:
    """Read one value; ValueError when it is not legal."""
    if None in kinds and text.lower() == "none":
        return None
    choices = _choices(field, kinds)
    if choices is not None:
        if text in choices:
            return text
        raise ValueError(text)
    if bool in kinds:
        return _parse_bool(text)
    if int not in kinds and float not in kinds:
        return text
    number = _parse_number(text, integer=float not in kinds)
    low, high = field.metadata.get("minimum"), field.metadata.get("maximum")
    if (low is not None and number < low) or (high is not None and number > high):
        raise ValueError(text)
    return number


def _parse_bool(text: str) -> bool:
    word = text.lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError(text)


def _parse_number(text: str, *, integer: bool) -> float:
    number = int(text) if integer else float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _show(value: object) -> str:
    """Write a value as the user would on the command line."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)
