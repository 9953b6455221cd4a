"""Reading of texts and JSON that others wrote: whatever is odd in them is refused with a sentence."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from oncotrack.errors import InputError

LARGEST = 2**30
"""Most bytes of a text."""
_WIDE = codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")


def read_text(path: str | Path, refusal: str) -> str:
    """Return the text of a file: UTF-8 with or without a byte order mark, or UTF-16 with one.

    Parameters
    ----------
    path : path
        The file.
    refusal : str
        What follows its name in the message, in sentences: "is not a readable table. Save it as CSV (UTF-8)."

    Raises
    ------
    InputError
        There is no such file; it is a folder, a pipe or a device; it is no text; or it is larger than `LARGEST`.
    """
    path = Path(path).expanduser()
    try:
        if not path.exists():
            raise InputError(f"{path} does not exist. Check the path.")
        if not path.is_file():  # a pipe would be waited for
            raise InputError(f"{path} is no file and {refusal}")
        if path.stat().st_size > LARGEST:
            raise InputError(
                f"{path} has more than {LARGEST / 2**30:g} GiB, the most of a text. Check whether it is the right file."
            )
        content = path.read_bytes()
        return (
            content.decode("utf-16" if content.startswith(_WIDE) else "utf-8-sig")
            .replace("\r\n", "\n")
            .replace("\r", "\n")
        )
    except (OSError, ValueError) as error:
        raise InputError(f"{path} {refusal}") from error


def parse_json(text: str, source: object, advice: str, hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """Return the content of a JSON text.

    Parameters
    ----------
    text : str
        The text.
    source : object
        Where it comes from, for messages.
    advice : str
        What to do, a sentence.
    hook : callable, optional
        Called with each object, from the innermost; its result is used instead.

    Raises
    ------
    InputError
        It is no JSON, is nested too deeply, or holds NaN, infinity, a number of thousands of digits or half of a character.
    """
    try:
        content = json.loads(text, object_hook=hook, parse_constant=_refuse)
        if _SURROGATE.search(text):  # perhaps half of a character, which no file can hold
            json.dumps(content, ensure_ascii=False).encode("utf-8")
        return content
    except UnicodeEncodeError as error:
        raise InputError(f"{source} cannot be used: it holds half of a character. {advice}") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{source} is not JSON (line {error.lineno}: {error.msg}). {advice}") from error
    except RecursionError as error:
        raise InputError(f"{source} is nested too deeply to be a file of this kind. {advice}") from error
    except ValueError as error:
        reason = str(error) if isinstance(error, _NoNumber) else "a number has thousands of digits"
        raise InputError(f"{source} cannot be used: {reason}. {advice}") from error


class _NoNumber(ValueError):
    """NaN or infinity, which JSON does not have."""


def _refuse(name: str) -> Any:
    raise _NoNumber(f"it holds {name}, which is no number")
