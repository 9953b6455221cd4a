"""Labels and file names without doubles."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence


def numbered(labels: Sequence[str], key: Callable[[str], Hashable] = str) -> list[str]:
    """Return the labels, each once: the first of several equal ones is kept, the others get a number.

    Parameters
    ----------
    labels : sequence of str
        For example "A", "A", "B".
    key : callable
        Labels with the same key are equal, for example those that would become the same file name.

    Returns
    -------
    list of str
        In the same order: "A", "A (2)", "B".
    """
    given, taken, unique = {key(label) for label in labels}, set(), []
    for label in labels:
        chosen, number = label, 1
        while key(chosen) in taken or (number > 1 and key(chosen) in given):
            number += 1
            chosen = f"{label} ({number})"
        taken.add(key(chosen))
        unique.append(chosen)
    return unique
