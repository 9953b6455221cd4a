"""The arrangements of the views: one scan, two scans, or three visits side by side."""

from __future__ import annotations

from trame_slicer.views import Layout, LayoutDirection, ViewLayoutDefinition, ViewProps, ViewType

from oncotrack.scene.views.view_rows import BASELINE_VIEWS, FOLLOWUP_VIEWS, ORIENTATIONS, THIRD_VIEWS

VIEW_3D = "FollowUp3D"
ONE_SCAN, TWO_SCANS = "one scan", "two scans"
THREE_VISITS = ("three visits, third left", "three visits, third in the middle", "three visits, third right")
"""Names of the arrangements; of three visits, one for each place of the third."""


def one_scan() -> Layout:
    """Return a large axial view above coronal, sagittal and 3D."""
    axial, *others = _row_of(BASELINE_VIEWS)
    return _large_above_small([axial], [*others, ViewLayoutDefinition.threed_view(name=VIEW_3D, label="3D")])


def two_scans() -> Layout:
    """Return both axial views above the others."""
    baseline, followup = _row_of(BASELINE_VIEWS), _row_of(FOLLOWUP_VIEWS)
    small = [*baseline[1:], ViewLayoutDefinition.threed_view(name=VIEW_3D, label="3D"), *followup[1:]]
    return _large_above_small([baseline[0], followup[0]], small)


def three_visits(place: int) -> Layout:
    """Return baseline, follow-up and, in this place from the left (0 to 2), the third visit side by side: axial above coronal."""
    rows = [_row_of(BASELINE_VIEWS), _row_of(FOLLOWUP_VIEWS)]
    rows.insert(place, _row_of(THIRD_VIEWS))
    return _large_above_small([row[0] for row in rows], [row[1] for row in rows])


def _large_above_small(large: list[ViewLayoutDefinition], small: list[ViewLayoutDefinition]) -> Layout:
    across = LayoutDirection.Horizontal
    return Layout(LayoutDirection.Vertical, [Layout(across, large), Layout(across, small)], ["2", "1"])


def _slice(name: str, orientation: str, colour: str) -> ViewLayoutDefinition:
    return ViewLayoutDefinition(name, ViewType.SLICE_VIEW, ViewProps(label=name, orientation=orientation, color=colour))


def _row_of(names: tuple[str, ...]) -> list[ViewLayoutDefinition]:
    colours = ("#F34A33", "#6DAD4A", "#EFD64D")
    return [_slice(*parts) for parts in zip(names, ORIENTATIONS, colours, strict=True)]
