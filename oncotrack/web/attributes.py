"""HTML attributes that trame's widgets lack: data-*, aria-*, role, and keys with modifiers."""

from __future__ import annotations

import html


def raw(*verbatim: str, **values: str | tuple[str]) -> dict[str, list[str]]:
    """Return keyword arguments for a widget: `data_open="x"` becomes `data-open="x"`, a tuple holds an expression.

    Examples
    --------
    >>> raw(role="status", data_job=("job.text",))
    {'raw_attrs': ['role="status"', ':data-job="job.text"']}
    """
    attributes = list(verbatim)
    for name, value in values.items():
        bound = isinstance(value, tuple)
        text = html.escape(value[0] if bound else value)
        attributes.append(f'{":" if bound else ""}{name.replace("_", "-")}="{text}"')
    return {"raw_attrs": attributes}
