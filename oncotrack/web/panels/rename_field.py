"""The field for a finding's new name, in its row."""

from __future__ import annotations

from trame.widgets import vuetify3 as v

from oncotrack.web.attributes import raw

# the page closes the field without waiting for the server; an empty or used name keeps it open, to be corrected
_TYPED = "$event.target.value.trim()"
_CLOSE = " && {rows}.every(each => each.uid === row.uid || each.label !== " + _TYPED + ") && (renaming = '')"


def rename_field(command: str, rows: str = "findings", **attributes: str) -> None:
    """Create a text field that replaces a row's name while the state's ``renaming`` is the row's uid.

    Enter runs `command` with the uid and the new name. `rows` is the state with all rows; `attributes` as in `raw`.
    """
    close = _TYPED + _CLOSE.format(rows=rows)
    v.VTextField(
        v_if=("renaming === row.uid",),
        v_model=("new_label",),
        density="compact",
        hide_details=True,
        autofocus=True,
        variant="outlined",
        **raw(
            f"@keydown.enter.stop=\"trigger('oncotrack.command', ['{command}', row.uid, $event.target.value]); {close}\"",
            "@keydown.esc.stop=\"renaming = ''\"",
            '@click.stop=""',
            **attributes,
        ),
    )
