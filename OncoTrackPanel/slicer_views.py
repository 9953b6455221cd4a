"""Slicer's slice views: their layout, the scan that they show, and the labels of findings in them.

Packages that Slicer lacks are imported when a function is called, so that Slicer starts without them.
"""

import slicer


def layout_node():
    """Return Slicer's layout node; None where Slicer runs without its main window."""
    manager = slicer.app.layoutManager()
    return manager.layoutLogic().GetLayoutNode() if manager else None


def are_rows_shown():
    """Return whether Slicer shows the two rows of Lesion Follow-Up."""
    from oncotrack.scene.views import layout

    node = layout_node()
    return node is not None and layout.are_rows_shown(node)


def show_in_views(volume):
    """Show a scan in the views that follow the active volume; the rows of Lesion Follow-Up keep theirs, and give way to them."""
    manager = slicer.app.layoutManager()
    if are_rows_shown():
        manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    views = [manager.sliceWidget(name) for name in ("Red", "Green", "Yellow")] if manager else []
    if {view.mrmlSliceCompositeNode().GetBackgroundVolumeID() for view in views} == {volume.GetID()}:
        return
    logic = slicer.app.applicationLogic()
    logic.GetSelectionNode().SetActiveVolumeID(volume.GetID())
    logic.PropagateVolumeSelection(1)


def shown_fields():
    """Return what each open slice view shows, to compare it with what it shows later."""
    from oncotrack.scene.views.slice_views import centre, shown_slice_nodes

    return [(*node.GetFieldOfView(), *centre(node).round(3)) for node in shown_slice_nodes(slicer.mrmlScene)]


def renderer_of(slice_widget):
    """Return the renderer of a slice view."""
    return slice_widget.sliceView().renderWindow().GetRenderers().GetFirstRenderer()


class ViewLabels:
    """Draws the labels of findings beside them in all open slice views, in place of Slicer's own labels."""

    def __init__(self):
        self._labels = None

    def show(self, nodes):
        """Draw the labels of a session's `FindingNodes`, until `hide`; also in views that are opened later."""
        from oncotrack.scene.views.finding_labels import FindingLabels

        manager = slicer.app.layoutManager()
        if not manager:  # Slicer may run without its main window
            return
        if self._labels is None:
            self._labels = FindingLabels(nodes)
            manager.connect("layoutChanged(int)", self._attach)
        self._attach()

    def hide(self):
        """Return the labels to Slicer."""
        if self._labels is not None:
            slicer.app.layoutManager().disconnect("layoutChanged(int)", self._attach)
            self._labels.close()
            self._labels = None

    def _attach(self, _layout=None):
        manager = slicer.app.layoutManager()
        for name in manager.sliceViewNames():
            widget = manager.sliceWidget(name)
            self._labels.attach(widget.mrmlSliceNode(), renderer_of(widget))
