"""The PET beside the CT of the lymph node session: checked and aligned when it is chosen, shown over the CT."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import slicer
import vtk
from undo_stack import Signal

from oncotrack.background.jobs import Progress
from oncotrack.errors import InputError
from oncotrack.images.body_size import KINDS, Body
from oncotrack.images.suv import as_kind
from oncotrack.images.volume import Volume
from oncotrack.scene.nodes.finding_nodes import FindingNodes
from oncotrack.scene.nodes.node_registry import NodeKey
from oncotrack.scene.nodes.observers import Observers
from oncotrack.scene.nodes.tasks import Task
from oncotrack.scene.nodes.volumes import add_volume, metadata, modality, set_volume, stamp, to_volume
from oncotrack.scene.session.single_scan_selection import SingleScanSelection
from oncotrack.scene.views import fusion

_COLOURS = NodeKey("PET colours")


class PETImage:
    """The PET that belongs to the chosen CT; the choice, its colours and its window are stored in the scene.

    Parameters
    ----------
    nodes : FindingNodes
    scan : SingleScanSelection
        The CT.
    slice_nodes : callable
        Returns the slice nodes that show the CT.
    """

    has_legend = True
    """Whether the views draw the colours with their SUV; a page that draws its own switches it off."""
    changed = Signal()
    """Another PET is shown, or the same one in another way."""

    def __init__(
        self,
        nodes: FindingNodes,
        scan: SingleScanSelection,
        slice_nodes: Callable[[], Sequence[slicer.vtkMRMLSliceNode]],
    ) -> None:
        self._nodes, self._scan, self._slice_nodes = nodes, scan, slice_nodes
        self._image: tuple[tuple, Volume] | None = None
        self._observers = Observers()

    def close(self) -> None:
        """Stop observing the PET; it stays in the scene."""
        self._observers.clear()

    # choosing

    @property
    def volume(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """The volume node of the PET, or None."""
        return fusion.pet_of(self._scan.volume)

    def image(self) -> Volume:
        """Return the PET as the engine uses it, in the kind of SUV that is shown: the same object until it changes.

        Raises
        ------
        InputError
            There is no PET.
        """
        if (volume := self.volume) is None:
            raise InputError("There is no PET yet. Open the PET of this CT first.")
        key = stamp(volume)
        if self._image is None or self._image[0] != key:
            self._image = key, to_volume(volume)
        return self._image[1]

    def choose(self, node: slicer.vtkMRMLScalarVolumeNode | None, same_patient: str = "") -> Task:
        """Return the task that makes a volume of the scene the PET, as `add`; None removes the PET."""
        if node is None:
            return Task("Removing the PET", lambda _progress: None, lambda _nothing: self.remove())
        return self.add(to_volume(node), same_patient, node)

    def add(self, pet: Volume, same_patient: str = "", node: slicer.vtkMRMLScalarVolumeNode | None = None) -> Task:
        """Return the task that checks a PET, aligns it with the CT and shows it; applying it returns what was done, in words.

        Parameters
        ----------
        pet : Volume
            SUV.
        same_patient : str
            Why CT and PET belong together, where the files name different patients or days.
        node : vtkMRMLScalarVolumeNode, optional
            The node that holds the PET already.

        Raises
        ------
        InputError
            There is no CT; or the files name different patients or days, and there is no reason (parameter
            ``same_patient``).
        """
        from oncotrack.detection.petct.pair import pair_problem

        ct = self._scan.image()
        if not same_patient.strip() and (problem := pair_problem(ct, pet)):
            raise InputError(
                f"{problem} Choose the CT and the PET of one examination, or give the reason why they belong together.",
                parameter="same_patient",
            )

        def work(progress: Progress) -> tuple[Volume, str]:
            from oncotrack.detection.petct.alignment import align_pet
            from oncotrack.detection.petct.pair import check_study

            progress(0.0, f"Checking {pet.name}")
            check_study(ct, pet)
            return align_pet(ct, pet, progress=progress)

        def apply(aligned: tuple[Volume, str]) -> str:
            if not self._scan.is_still(ct):
                raise InputError("The CT was changed meanwhile, so the PET was not opened. Open it again.")
            image, sentence = aligned
            used = node if node is not None and image is pet else add_volume(self._nodes.scene, image)
            self._use(used)
            notice = image.metadata.get("notice") or ""
            own = "The SUV rests on what you gave." if "as given" in notice else ""
            return " ".join(filter(None, (f"Opened {image.name}. {sentence}", notice, own)))

        return Task("Opening the PET", work, apply)

    def remove(self) -> str:
        """Show the CT alone again, and return what was done, in words; a PET that was opened here leaves the scene."""
        old = self.volume
        if old is None:
            return "There is no PET."
        fusion.show_legend(old, "", shown=False)
        self._replace(None)
        return f"{old.GetName()} was removed."

    # display

    @property
    def is_shown(self) -> bool:
        """Whether the PET is shown over the CT."""
        return self.volume is not None and fusion.is_shown(self.volume)

    @is_shown.setter
    def is_shown(self, shown: bool) -> None:
        if self.volume is not None and shown != self.is_shown:
            fusion.show(self.volume, shown)
            self.draw()
            self.changed.emit()

    @property
    def opacity(self) -> float:
        """Opacity over the CT, 0 to 1."""
        return fusion.opacity(self.volume) if self.volume else fusion.OPACITY

    @opacity.setter
    def opacity(self, value: float) -> None:
        if self.volume is not None and value != self.opacity:
            fusion.set_opacity(self.volume, value)
            self.draw()

    @property
    def window(self) -> tuple[float, float]:
        """Lowest and highest SUV of the colours."""
        return fusion.window(self.volume) if self.volume else fusion.SUV_WINDOW

    def set_window(self, low: float, high: float) -> None:
        """Set the lowest and the highest SUV of the colours; InputError when the highest is not above the lowest."""
        if self.volume is not None and (low, high) != self.window:
            fusion.set_window(self.volume, low, high)

    @property
    def kinds(self) -> dict[str, str]:
        """What uptake can be related to for this patient, with its name; weight, height and sex decide."""
        if self.volume is None:
            return {}
        about = metadata(self.volume)
        known = {about["suv"] or "BW", *(Body.from_text(about).kinds if about["weight"] else ())}
        return {kind: name for kind, name in KINDS.items() if kind in known}

    @property
    def kind(self) -> str:
        """What the uptake shown is related to, a key of `KINDS`."""
        return (metadata(self.volume)["suv"] or "BW") if self.volume else "BW"

    def set_kind(self, kind: str) -> None:
        """Relate the uptake to something else.

        Raises
        ------
        InputError
            What it needs of the patient is not known.
        """
        if self.volume is not None and kind != self.kind:
            converted = as_kind(self.image(), kind)
            set_volume(self.volume, converted)
            self.volume.SetAttribute("OncoTrack.suv", kind)
            self.draw()
            self.changed.emit()

    @property
    def unit(self) -> str:
        """The unit of the uptake, with what it is related to."""
        return f"SUV ({KINDS[self.kind]}), {'cm²/ml' if self.kind == 'BSA' else 'g/ml'}"

    def draw(self) -> None:
        """Show the PET over the CT in the CT's views, where no other overlay is."""
        pet, opacity = fusion.overlay_of(self._scan.volume)
        for view in self._slice_nodes():
            composite = view.GetScene().GetSingletonNode(view.GetLayoutName(), "vtkMRMLSliceCompositeNode")
            shown = view.GetScene().GetNodeByID((composite and composite.GetForegroundVolumeID()) or "")
            if composite is not None and (shown is None or shown is pet or modality(shown) == "PT"):
                composite.SetForegroundVolumeID(pet.GetID() if pet else None)
                composite.SetForegroundOpacity(opacity)
        if self.volume is not None:
            fusion.show_legend(self.volume, self.unit, shown=self.has_legend and pet is not None)
        self._watch()

    # private

    def _use(self, node: slicer.vtkMRMLScalarVolumeNode) -> None:
        colours = self._nodes.registry.need(_COLOURS, "vtkMRMLColorTableNode", "OncoTrack PET")
        if node.GetDisplayNode() is None:
            node.CreateDefaultDisplayNodes()
        if node is not self.volume:
            fusion.style(node, colours)
        fusion.show(node, True)
        self._replace(node)

    def _replace(self, node: slicer.vtkMRMLScalarVolumeNode | None) -> None:
        old = self.volume
        fusion.set_pet(self._scan.volume, node)
        self.draw()
        if old is not None and old is not node and old.GetAttribute("OncoTrack.modality"):
            self._nodes.scene.RemoveNode(old)
        self.changed.emit()

    def _watch(self) -> None:
        display = self.volume.GetDisplayNode() if self.volume else None
        if display is None or not self._observers.watches(display):
            self._observers.clear()
        if display is not None and not self._observers.watches(display):
            self._observers.add(display, vtk.vtkCommand.ModifiedEvent, lambda *_: self.changed.emit())
