"""The residual of the registration that links the views, measured beside the reader's own work and kept while it is valid."""

from __future__ import annotations

from oncotrack.background.jobs import Progress
from oncotrack.errors import OncoTrackError
from oncotrack.followup.residual import Residual, residual
from oncotrack.scene.nodes.tasks import Task
from oncotrack.scene.session.time_point_selection import TimePointSelection

_Key = tuple[str, str, bytes]


class RegistrationResidual:
    """What is known of the residual of the present registration.

    Parameters
    ----------
    choice : TimePointSelection
        The two scans and their registration.
    """

    def __init__(self, choice: TimePointSelection) -> None:
        self._choice = choice
        self._known: dict[_Key, Residual | None] = {}  # None while it is measured, and where that failed

    @property
    def value(self) -> Residual | None:
        """The residual of the present registration; None where it was not measured."""
        key = self._key()
        return self._known.get(key) if key else None

    def task(self) -> Task | None:
        """Return the task that measures the residual; None without a registration, and where it is known or being measured."""
        key = self._key()
        if key is None or key in self._known:
            return None
        try:
            scans = self._choice.scans()
        except OncoTrackError:
            return None
        self._known[key] = None

        def work(progress: Progress) -> Residual:
            return residual(scans.pair, progress)

        def apply(measured: Residual) -> None:
            self._known[key] = measured

        return Task("Measuring the registration", work, apply)

    def _key(self) -> _Key | None:
        registration = self._choice.registration
        if registration is None:
            return None
        return self._choice.baseline_id, self._choice.followup_id, registration.matrix.round(6).tobytes()
