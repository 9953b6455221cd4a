"""Two scans as the engine uses them, valid until one of their nodes changes."""

from __future__ import annotations

from functools import cached_property

import slicer

from oncotrack.errors import InputError
from oncotrack.followup.tracker import ScanPair
from oncotrack.registration.registration import Registration
from oncotrack.scene.nodes.volumes import stamp, to_volume


class ScanSnapshot:
    """Baseline and follow-up, read from their nodes; created on the GUI thread, used on any thread.

    Raises
    ------
    InputError
        A node holds no image that can be used.
    """

    def __init__(
        self,
        baseline: slicer.vtkMRMLScalarVolumeNode,
        followup: slicer.vtkMRMLScalarVolumeNode,
        registration: Registration | None,
    ) -> None:
        if baseline is followup:
            raise InputError("Baseline and follow-up are the same image. Choose the later scan as follow-up.")
        self._stamps = stamp(baseline), stamp(followup)
        self._volumes = to_volume(baseline), to_volume(followup)
        self._known_registration = registration

    def is_of(self, baseline: slicer.vtkMRMLVolumeNode | None, followup: slicer.vtkMRMLVolumeNode | None) -> bool:
        """Return whether these nodes still hold the same voxels at the same position."""
        return None not in (baseline, followup) and self._stamps == (stamp(baseline), stamp(followup))

    @cached_property
    def pair(self) -> ScanPair:
        """Both scans, checked, with the trackers' cached features; takes a second, so use it on the worker thread."""
        return ScanPair(*self._volumes, self._known_registration)

    @property
    def kept_bytes(self) -> int:
        """Memory of what trackers have computed of the scans."""
        return self.pair.kept_bytes if "pair" in self.__dict__ else 0

    @property
    def registration(self) -> Registration | None:
        """The registration if it is known already; nothing is computed."""
        if "pair" in self.__dict__ and self.pair.is_registered:
            return self.pair.registration()
        return self._known_registration
