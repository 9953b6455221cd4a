"""A third visit beside the two that are read: its row of slice views, linked to the baseline's."""

from __future__ import annotations

import slicer
from undo_stack import Signal

from oncotrack.errors import InputError
from oncotrack.registration.registration import Registration
from oncotrack.scene.nodes.registered_volumes import RegisteredVolumes
from oncotrack.scene.nodes.tasks import Task
from oncotrack.scene.nodes.time_points import time_point_id
from oncotrack.scene.session.time_point_selection import TimePointSelection
from oncotrack.scene.views.linking import LinkedRows
from oncotrack.scene.views.view_rows import THIRD_GROUP, THIRD_VIEWS, ViewRow, middle

_Scan = slicer.vtkMRMLScalarVolumeNode


class ThirdVisit:
    """One of the other visits, shown beside baseline and follow-up and scrolled with them once it is registered.

    Parameters
    ----------
    choice : TimePointSelection
    baseline : ViewRow
        The row that the third one is linked to.

    Attributes
    ----------
    row : ViewRow
        Its views.
    linking : LinkedRows
        The link with the baseline.
    """

    changed = Signal()
    """Another visit is shown, or none."""

    def __init__(self, scene: slicer.vtkMRMLScene, choice: TimePointSelection, baseline: ViewRow) -> None:
        self._choice, self._baseline = choice, baseline
        self._is_shown, self._chosen = False, None
        self.row = ViewRow(scene, THIRD_VIEWS, THIRD_GROUP)
        self.linking = LinkedRows(self.row, baseline, self._to_baseline, "third crosshair")

    def close(self) -> None:
        """Unlink the row."""
        self.linking.close()

    @property
    def is_shown(self) -> bool:
        """Whether a third visit is shown, as far as there is one."""
        return self._is_shown

    @property
    def volume(self) -> _Scan | None:
        """The visit that is shown: the chosen one, or the nearest where that became baseline or follow-up."""
        if not self._is_shown:
            return None
        candidates = self.candidates
        return self._chosen if self._chosen in candidates else self._nearest(candidates)

    @property
    def candidates(self) -> tuple[_Scan, ...]:
        """The visits that are neither baseline nor follow-up."""
        shown = (self._choice.baseline, self._choice.followup)
        return tuple(volume for volume in self._choice.visits if volume not in shown)

    @property
    def place(self) -> int:
        """Its place among the three visits that are shown, 0 to 2 from the earliest; 0 while there is none."""
        visits, shown = self._choice.visits, (self._choice.baseline, self._choice.followup)
        volume = self.volume
        return sum(visits.index(each) < visits.index(volume) for each in shown if each in visits) if volume else 0

    @property
    def time_point(self) -> str:
        """Its time point in every finding; "" while there is none."""
        volume = self.volume
        return time_point_id(volume) if volume else ""

    def show(self, volume: _Scan | None = None) -> None:
        """Show one of the other visits, by default the nearest to the baseline, an earlier one first.

        Raises
        ------
        InputError
            It is not one of the other visits, or there is no other visit.
        """
        if volume is not None and volume not in self.candidates:
            raise InputError("Only a visit that is neither the baseline nor the follow-up can be shown as third.")
        if not self.candidates:
            raise InputError("The patient has two visits. Open an additional visit first.")
        self._is_shown, self._chosen = True, volume
        self.changed.emit()

    def show_when_possible(self) -> None:
        """Show the nearest of the other visits, now or as soon as there is one."""
        self._is_shown, self._chosen = True, None
        self.changed.emit()

    def hide(self) -> None:
        """Show baseline and follow-up alone."""
        self._is_shown, self._chosen = False, None
        self.changed.emit()

    def draw(self) -> None:
        """Show the visit in its views; must be called again after views were opened or the choice of visits changed."""
        self.row.set_group()
        self.row.show(self.volume, None, 0.0)
        self.align()

    def align(self) -> None:
        """Show in its views what the baseline's show, where the two are registered."""
        with self.linking.paused():
            for index in range(len(self.row.names)):
                view, other = self.row.slice_at(index), self._baseline.slice_at(index)
                if view is None or other is None:
                    continue
                if position := self.linking.corresponding(middle(other), of_followup=True):
                    view.JumpSliceByCentering(*position)

    def register(self) -> Task:
        """Return the task that registers the visit with the baseline, which links the views."""
        if self.volume is None or self._choice.baseline is None:
            raise InputError("No third visit is shown. Choose one first.")
        pair, _is_earlier = self._pair()
        scans = pair.scans()

        def apply(registration: Registration) -> Registration:
            if not scans.is_of(*pair.volumes):
                raise InputError("The scans were changed meanwhile, so they were not registered. Register them again.")
            pair.draw(registration)
            self.align()
            self.changed.emit()
            return registration

        return Task("Registering the third visit", lambda progress: scans.pair.registration(progress), apply)

    @property
    def is_linked(self) -> bool:
        """Whether the visit is registered with the baseline."""
        return self._to_baseline() is not None

    def _nearest(self, candidates: tuple[_Scan, ...]) -> _Scan | None:
        visits = self._choice.visits
        if not candidates or self._choice.baseline is None:
            return None
        here = visits.index(self._choice.baseline)
        return min(candidates, key=lambda volume: (abs(visits.index(volume) - here), visits.index(volume)))

    def _to_baseline(self) -> Registration | None:
        """Return the registration from the third visit to the baseline, whichever of the two is earlier."""
        if self.volume is None or self._choice.baseline is None:
            return None
        pair, is_earlier = self._pair()
        registration = pair.registration
        return registration if registration is None or is_earlier else registration.inverse()

    def _pair(self) -> tuple[RegisteredVolumes, bool]:
        visits, baseline = self._choice.visits, self._choice.baseline
        is_earlier = visits.index(self.volume) < visits.index(baseline)
        earlier, later = (self.volume, baseline) if is_earlier else (baseline, self.volume)
        return self._choice.pair(earlier, later), is_earlier
