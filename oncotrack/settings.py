"""What a reader has chosen for every session, kept in one small file in the user's configuration folder."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Interval  # a package of pydantic

from oncotrack.atomic import write_text
from oncotrack.errors import InputError, OutputError

LeftDrag = Literal["select", "window", "scroll", "pan", "zoom"]
SlabMode = Literal["off", "average", "maximum", "minimum"]
ImageText = Literal["all", "without names", "none"]


@dataclass(frozen=True)
class Choices:
    """The choices and their usual values.

    Attributes
    ----------
    mouse_mode : str
        What a drag with the left mouse button does.
    cine_speed : int
        Slices per second.
    cine_bounces : bool
        Whether a cine plays back from the last slice instead of starting again.
    slab_mode : str
        How a thick slab is made.
    slab_mm : float
        Its thickness, mm.
    image_text : str
        Which text is shown on the images.
    theme : str
        Colours of the page.
    text_size : int
        Size of the page's text, per cent.
    third_visit : bool
        Whether a third visit is shown beside two, where there is one.
    """

    mouse_mode: LeftDrag = "select"
    cine_speed: Annotated[int, Interval(ge=1, le=30)] = 10
    cine_bounces: bool = False
    slab_mode: SlabMode = "off"
    slab_mm: Annotated[float, Interval(ge=1, le=2000)] = 10.0
    image_text: ImageText = "all"
    theme: Literal["dark", "light"] = "dark"
    text_size: Literal[100, 115, 130] = 100
    third_visit: bool = False


def settings_file() -> Path:
    """Return where the choices are kept: ``ONCOTRACK_CONFIG``, otherwise the user's configuration folder."""
    if folder := os.environ.get("ONCOTRACK_CONFIG"):
        return Path(folder) / "reader.json"
    from platformdirs import user_config_path  # pooch brings it

    return user_config_path("oncotrack", appauthor=False) / "reader.json"


class Settings:
    """The choices of one reader, read once and written after each change.

    Parameters
    ----------
    path : Path
        The file; it need not exist yet.

    Attributes
    ----------
    choices : Choices
        Cannot be changed but by `change`.
    problem : str
        Why the file was not used, in a sentence; "" when it was read or does not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.choices, self.problem = _read(path)

    def change(self, **choices: Any) -> None:
        """Change some choices, and write the file when one of them is new.

        Parameters
        ----------
        **choices
            Fields of `Choices`.

        Raises
        ------
        InputError
            A value is not one of those allowed; nothing is changed.
        OutputError
            The file cannot be written; the choices are changed nevertheless.
        """
        changed = _checked({**asdict(self.choices), **choices})
        if changed == self.choices:
            return
        self.choices = changed
        try:
            write_text(self._path, json.dumps(asdict(changed), indent=1))
        except OutputError as error:
            raise OutputError(f"Your settings are used now but could not be kept. {error}") from error


def _read(path: Path) -> tuple[Choices, str]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Choices(), ""
    except (OSError, UnicodeDecodeError):
        return Choices(), _problem(path)
    try:
        stored = json.loads(text)
        if not isinstance(stored, dict):
            return Choices(), _problem(path)
        known = {field.name: stored[field.name] for field in fields(Choices) if field.name in stored}
        return _checked(known), ""
    except (ValueError, TypeError, RecursionError, InputError):
        return Choices(), _problem(path)


def _problem(path: Path) -> str:
    return (
        f"Your settings in {path} could not be read, so the usual ones are used. They are replaced at the next change."
    )


def _checked(values: dict[str, Any]) -> Choices:
    """Return choices from values of any origin.

    Raises
    ------
    InputError
        A value is not one of those allowed.
    """
    from pydantic import ValidationError

    try:
        return _adapter().validate_json(json.dumps(values))
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"The setting {'.'.join(map(str, first['loc']))} is not valid: {first['msg']}.") from error


@cache
def _adapter() -> Any:
    from pydantic import ConfigDict, TypeAdapter, with_config

    return TypeAdapter(with_config(ConfigDict(strict=True, extra="forbid", allow_inf_nan=False))(Choices))


def toml() -> Any:
    """Return the module that parses TOML: Python's own or, before Python 3.11, the package tomli."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # pyright: ignore[reportMissingImports]
    return tomllib
