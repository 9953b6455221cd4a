"""Reading of JSON that others wrote: whatever is odd in it is refused with a sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from oncotrack.errors import InputError

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")


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
