"""Where a reader types a finding's new name, in its row."""

from __future__ import annotations

from trame.widgets import vuetify3 as v

from oncotrack.web.attributes import raw

# closed by the page, which alone knows at once that it is open; a name that will be refused stays to be mended
_TYPED = "$event.target.value.trim()"
_CLOSE = f"{_TYPED} && findings.every(each => each.uid === row.uid || each.label !== {_TYPED}) && (renaming = '')"


def rename_field(command: str, **attributes: str) -> None:
    """A field in the place of `row`'s name while the state's ``renaming`` is its uid; Enter runs `command` with uid and name.

    `attributes` as in `raw`.
    """
    v.VTextField(
        v_if=("renaming === row.uid",),
        v_model=("new_label",),
        density="compact",
        hide_details=True,
        autofocus=True,
        variant="outlined",
        **raw(
            f"@keydown.enter.stop=\"trigger('oncotrack.command', ['{command}', row.uid, $event.target.value]); {_CLOSE}\"",
            "@keydown.esc.stop=\"renaming = ''\"",
            '@click.stop=""',
            **attributes,
        ),
    )
