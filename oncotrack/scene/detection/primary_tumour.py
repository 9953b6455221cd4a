"""The primary tumour of a PET/CT: a finding with a mask, from one click in the PET, a file, or the Masks tool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from undo_stack import Signal

from oncotrack.detection.petct.tumour import FRACTION, grow_tumour, on_scan
from oncotrack.errors import InputError, OncoTrackError
from oncotrack.findings.finding import Finding, Kind, Observation
from oncotrack.findings.observation_edits import edited_by_reader
from oncotrack.images.volume import Volume
from oncotrack.masks.findings import observation
from oncotrack.scene.detection.pet_image import PETImage
from oncotrack.scene.nodes.finding_nodes import FindingNodes
from oncotrack.scene.nodes.node_registry import LIST, NodeKey
from oncotrack.scene.session.single_scan_selection import SingleScanSelection
from oncotrack.scene.views.node_placement import NodePlacement

LABEL = "Primary tumour"
"""Name of the finding that a click or a file makes."""
NEEDED = (
    "The PET/CT detector needs the primary tumour: whether a node is significant depends on its distance from it. Press "
    "Click the tumour and click into it in the PET, or choose a finding with a mask."
)
_CHOSEN = "OncoTrack.tumour"


class PrimaryTumour:
    """The finding that is the primary tumour on the chosen scan.

    Its mask is edited with the Masks tool like any other, and every change is a step of undo.

    Parameters
    ----------
    nodes : FindingNodes
    scan : SingleScanSelection
        The CT.
    pet : PETImage

    Attributes
    ----------
    fixed_suv : float or None
        Threshold of region growing, in the SUV that is shown; None for 41 % of the highest uptake near the click.
    """

    refused = Signal()
    """(OncoTrackError): a click was not possible."""
    found = Signal()
    """(str): what a click has done, in words."""

    def __init__(self, nodes: FindingNodes, scan: SingleScanSelection, pet: PETImage) -> None:
        self._nodes, self._scan, self._pet = nodes, scan, pet
        self.fixed_suv: float | None = None
        self._placement = NodePlacement(nodes, NodeKey("tumour click"))
        self._placement.placed.connect(self._on_placed)

    def close(self) -> None:
        """Stop reading clicks."""
        self._placement.placed.disconnect(self._on_placed)
        self._placement.close()

    @property
    def finding(self) -> Finding | None:
        """The chosen finding, or the one named `LABEL`, if it has a mask on the scan."""
        known = self.choices
        node = self._nodes.registry.find(LIST)
        chosen = node.GetAttribute(_CHOSEN) if node else None
        return next(
            (each for each in known if each.uid == chosen), next((each for each in known if each.label == LABEL), None)
        )

    @property
    def choices(self) -> tuple[Finding, ...]:
        """The findings that can be the primary tumour: those with a mask on the scan that are no lymph nodes."""
        seen = self._nodes.findings.observations_at(self._scan.time_point)
        return tuple(finding for finding, each in seen if each.mask and finding.kind is not Kind.LYMPH_NODE)

    @property
    def mask(self) -> Volume | None:
        """The tumour's mask on the scan, or None."""
        finding = self.finding
        return finding.observation(self._scan.time_point).mask.volume("primary tumour") if finding else None

    def choose(self, uid: str) -> None:
        """Make a finding with a mask the primary tumour.

        Raises
        ------
        InputError
            It has no mask on the scan.
        """
        if all(each.uid != uid for each in self.choices):
            raise InputError("This finding has no mask on this scan. Draw its mask with the Masks tool first.")
        self._nodes.list_node().SetAttribute(_CHOSEN, uid)
        self._nodes.changed.emit()

    def begin_click(self) -> None:
        """Make the reader's next click in a slice view grow the tumour.

        Raises
        ------
        InputError
            There is no PET.
        """
        self._pet.image()
        self._placement.begin()

    def grow(self, at: Sequence[float]) -> str:
        """Replace the primary tumour by the region around a click in the PET, one step of undo.

        Parameters
        ----------
        at : (3,) float
            RAS mm.

        Returns
        -------
        str
            What was done, in words.

        Raises
        ------
        InputError
            There is no PET, or hardly any uptake at the click.
        """
        pet = self._pet.image()
        grown = grow_tumour(pet, at, suv=self.fixed_suv)
        threshold = (
            f"an SUV of {self.fixed_suv:g}" if self.fixed_suv else f"{100 * FRACTION:.0f} % of the highest uptake"
        )
        seen = self._put(grown, f"region growing at {threshold}")
        volume_ml = (seen.volume_mm3 or 0.0) / 1000
        return f"The primary tumour has {volume_ml:.1f} ml at {threshold}. {grown.metadata.get('notice', '')}".strip()

    def use(self, mask: Volume) -> str:
        """Replace the primary tumour by a mask, one step of undo, and return what was done, in words.

        Parameters
        ----------
        mask : Volume
            Not 0 inside, on any grid, in the coordinates of the CT.

        Raises
        ------
        InputError
            The mask is empty, or lies outside the CT.
        """
        seen = self._put(mask, f"mask {mask.name}")
        return f"The primary tumour ({mask.name}) has {(seen.volume_mm3 or 0.0) / 1000:.1f} ml."

    # private

    def _put(self, mask: Volume, method: str) -> Observation:
        image, findings, time_point = self._scan.image(), self._nodes.findings, self._scan.time_point
        # without slice boxes, as for every finding of the Masks tool: a change of a box would drop the mask
        seen = replace(observation(on_scan(mask, image), method=method), tracklet=None)
        seen = edited_by_reader(seen, self._nodes.reader or "reader")
        old = next((each for each in self.choices if each.label == LABEL), None)
        if old is not None:
            finding = findings.observe(old.uid, time_point, seen, f"replace {LABEL}")
        else:
            with findings.group(f"add {LABEL}"):
                self._scan.name_time_point()
                taken = any(each.label == LABEL for each in findings)
                label = findings.next_label(Kind.LESION) if taken else LABEL
                finding = findings.add(time_point, seen, kind=Kind.LESION, label=label)
        self.choose(finding.uid)
        return seen

    def _on_placed(self, at: tuple[float, float, float]) -> None:
        try:
            self.found.emit(self.grow(at))
        except OncoTrackError as error:
            self.refused.emit(error)
