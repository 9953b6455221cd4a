"""Editing of the masks of one scan's findings; each edit is one command on the list."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import slicer
from undo_stack import Signal

from oncotrack.background.jobs import Progress
from oncotrack.errors import InputError
from oncotrack.findings.finding import Finding, Kind, Observation, State
from oncotrack.findings.observation_edits import edited_by_reader, with_proposed_size
from oncotrack.images.volume import Volume
from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.cleaning import filled, smoothed
from oncotrack.masks.propagate import propagate_to_3d
from oncotrack.masks.pseudo_mask import pseudo_mask
from oncotrack.masks.quality import with_doubts
from oncotrack.masks.recist import measure
from oncotrack.masks.suggestion import propose_mask
from oncotrack.scene.nodes.mask_edits import axes_of, is_3d, with_mask, with_painted_mask, without_mask
from oncotrack.scene.nodes.tasks import Task
from oncotrack.scene.session.scan_session import ScanSession
from oncotrack.scene.session.single_scan_selection import MEASURED

_REACH_MM = 5.0  # of a click on a finding whose size is not known


class MaskEditing(ScanSession):
    """Edits of one scan's findings and of the masks made from their axes; the base of `RecistScene`.

    Parameters
    ----------
    scene : vtkMRMLScene
    slice_nodes : callable, optional
        The slice nodes that show the scan; all of the scene's when missing.
    submit : callable, optional
        Queues the task that an edit in a view needs; without it the task runs at once.

    Attributes
    ----------
    kind : Kind
        What newly drawn axes measure.
    is_square : bool
        Whether the short axis of drawn and dragged axes is made perpendicular to the long one.
    """

    warned = Signal()
    """(sentence): the drawn axes are unusual, for example not perpendicular."""

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        slice_nodes: Callable[[], Sequence[slicer.vtkMRMLSliceNode]] | None = None,
        submit: Callable[[Task], object] = Task.run,
    ) -> None:
        super().__init__(scene, MEASURED, slice_nodes)
        self._submit = submit
        self.kind, self.is_square = Kind.LESION, False

    # the list

    @property
    def shown(self) -> tuple[Finding, ...]:
        """The findings of this scan, with or without a mask; those absent or not found there are left out."""
        seen = self.findings.observations_at(self.time_point)
        return tuple(finding for finding, each in seen if each.state not in (State.ABSENT, State.NOT_FOUND))

    @property
    def current(self) -> Finding | None:
        """The finding the reader works on, if it lies on this scan."""
        current = self.nodes.current
        return current if current is not None and current.at(self.time_point) is not None else None

    @property
    def observation(self) -> Observation | None:
        """The current finding's observation on this scan, or None."""
        return self.current.at(self.time_point) if self.current else None

    @property
    def mask_warnings(self) -> list[str]:
        """Sentences on what is doubtful in the current finding's mask."""
        return list(self.observation.doubts) if self.observation else []

    def at(self, ras: Sequence[float]) -> Finding | None:
        """Return the finding at a position (RAS mm): the nearest whose centre is not farther away than its radius."""
        reach = {
            finding.uid: (math.dist(seen.centre, ras), seen.radius_mm or _REACH_MM)
            for finding, seen in self.findings.observations_at(self.time_point)
        }
        near = [finding for finding in self.shown if reach[finding.uid][0] <= reach[finding.uid][1]]
        return min(near, key=lambda finding: reach[finding.uid][0], default=None)

    # masks

    def suggest(self, uid: str = "") -> None:
        """Give a finding, made by any tool, a mask derived from its axes, slice boxes or box, and the axes measured on it.

        A finding with slice boxes gets a mask on all its slices. InputError when a mask in 3D would become smaller.
        """
        finding = self._finding(uid)
        self.nodes.select(finding.uid)
        seen, image = finding.at(self.time_point), self._scan.image()
        if seen.tracklet is None and is_3d(seen):
            raise InputError(
                f"{finding.label} has a mask in 3D, which a suggestion would replace by one in a single slice. "
                "Remove the mask first, or draw other diameters."
            )
        mask = propose_mask(image, seen)
        self._observe(
            finding.uid,
            with_proposed_size(with_mask(seen, mask, measure(mask).axes)),
            f"suggest a mask of {finding.label}",
        )

    def rebuild(self) -> None:
        """Replace the current finding's mask by one in a single slice, made from its axes."""
        self._remask(axes_of(self._finding(""), self.time_point), "rebuild the mask of")

    def make_perpendicular(self) -> None:
        """Make the current finding's short axis perpendicular to the long one; a 3D mask is then rebuilt by a task."""
        axes = axes_of(self._finding(""), self.time_point)
        self._reshape(axes.perpendicular(), "turn the diameters of")

    def remeasure(self) -> None:
        """Replace the current finding's axes by those measured on its mask."""
        self._edit_mask(lambda mask: mask, "measure the mask of")

    def fill(self) -> None:
        """Fill the holes of the current finding's mask, which is measured again."""
        self._edit_mask(filled, "fill the mask of")

    def smooth(self) -> None:
        """Smooth the border of the current finding's mask, which is measured again."""
        self._edit_mask(smoothed, "smooth the mask of")

    def _edit_mask(self, change: Callable[[Volume], Volume], what: str) -> None:
        finding = self._finding("")
        seen = self._need_mask(finding)
        mask = change(seen.mask.volume())
        self._observe(finding.uid, with_painted_mask(seen, mask), f"{what} {finding.label}")

    def remove_mask(self) -> None:
        """Remove the mask; the axes stay."""
        finding = self._finding("")
        self._observe(finding.uid, without_mask(self._need_mask(finding)), f"delete the mask of {finding.label}")

    def extend_to_3d(self, uid: str = "", *more: RecistAxes) -> Task:
        """Return the task that extends a finding's mask to the slices next to its axes; applying it returns the finding.

        Parameters
        ----------
        uid : str
            The current finding when empty.
        more : RecistAxes
            Further axes of the same lesion, on other slices.

        Raises
        ------
        InputError
            The finding has no axes here.
        """
        finding = self._finding(uid)
        drawn = (axes_of(finding, self.time_point), *more)
        longest = max(drawn, key=lambda each: each.long.length_mm)
        return self._extension_task(
            finding, drawn, lambda seen, mask: with_mask(seen, mask, longest), "extend {} to 3D"
        )

    def extend_again(self, uid: str, axes: RecistAxes) -> Task:
        """Return the task that replaces a finding's axes and makes its 3D mask from the new ones, one step of undo.

        Axes that were drawn on other slices are discarded. Applying it returns the finding, which stays unchanged until
        then.
        """
        finding = self._finding(uid)

        def edited(seen: Observation, mask: Volume) -> Observation:
            self._warn(axes)
            return edited_by_reader(with_mask(seen, mask, axes))

        return self._extension_task(finding, (axes,), edited, "change the diameters of {} in 3D")

    def add(self, seen: Observation, label: str = "", kind: Kind | None = None) -> Finding:
        """Add a finding on this scan, one step of undo; it gets the next free label if `label` is empty or in use."""
        findings, kind = self.findings, kind or self.kind
        taken = {finding.label for finding in findings}
        label = label if label and label not in taken else findings.next_label(kind)
        with findings.group(f"measure {label}"):
            self._scan.name_time_point()
            return findings.add(self.time_point, self._judged(seen), kind=kind, label=label)

    # private

    def _extension_task(
        self,
        finding: Finding,
        drawn: Sequence[RecistAxes],
        observed: Callable[[Observation, Volume], Observation],
        text: str,
    ) -> Task:
        image, seen, time_point = self._scan.image(), finding.at(self.time_point), self.time_point

        def work(progress: Progress) -> Volume:
            return propagate_to_3d(image, drawn[0], drawn[1:], progress=progress)

        def apply(mask: Volume) -> Finding:
            known = self.findings[finding.uid].at(time_point) if finding.uid in self.findings else None
            is_still = known is not None and replace(known, state=seen.state, provenance=seen.provenance) == seen
            if not self._scan.is_still(image) or not is_still:
                raise InputError(f"{finding.label} was changed meanwhile, so the new mask was discarded. Try again.")
            new = observed(known, mask)
            axes = known.long_axis, known.short_axis
            if known.mask and new.mask.is_same(known.mask) and (new.long_axis, new.short_axis) == axes:
                return self.findings[finding.uid]  # nothing was added
            if known.state is not seen.state:  # decided on while the task ran
                new = replace(new, state=known.state)
            self._observe(finding.uid, new, text.format(finding.label))
            return self.findings[finding.uid]

        return Task(f"Extending the mask of {finding.label} to 3D", work, apply)

    def _reshape(self, axes: RecistAxes, what: str) -> None:
        """Replace the current finding's axes. A mask in one slice is rebuilt at once, a 3D mask by a task."""
        if is_3d(self.observation):
            self._submit(self.extend_again(self._finding("").uid, axes))
        else:
            self._remask(axes, what)

    def _remask(self, axes: RecistAxes, what: str) -> None:
        finding = self._finding("")
        seen = with_mask(self.observation, pseudo_mask(self._scan.image(), axes), axes)
        self._observe(finding.uid, edited_by_reader(seen), f"{what} {finding.label}")
        self._warn(axes)

    def _perpendicular_if_chosen(self, axes: RecistAxes) -> RecistAxes:
        return axes.perpendicular() if self.is_square else axes

    def _warn(self, axes: RecistAxes) -> None:
        for sentence in axes.warnings():
            self.warned.emit(sentence)

    def _observe(self, uid: str, seen: Observation, text: str) -> None:
        self.findings.observe(uid, self.time_point, self._judged(seen), text)

    def _judged(self, seen: Observation) -> Observation:
        """Return an observation on this scan that says what is doubtful in its mask."""
        return seen if seen.mask is None or self.scan is None else with_doubts(seen, self._scan.image())

    def _need_mask(self, finding: Finding) -> Observation:
        seen = finding.at(self.time_point)
        if seen is None or seen.mask is None:
            raise InputError(f"{finding.label} has no mask on this scan. Make one from its diameters first.")
        return seen
