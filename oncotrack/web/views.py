"""The views of the page: slice views of one scan, or of baseline and follow-up side by side, and one 3D view."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import slicer
import vtk
from trame_server import Server
from trame_slicer.core import LayoutManager, SlicerApp
from trame_slicer.rca_view import rca_view_factory
from trame_slicer.rca_view.rca_view_factory import RemoteViewFactory
from trame_slicer.views import (
    AbstractView,
    SliceView,
    ThreeDView,
    ViewType,
)
from trame_slicer.views.render_scheduler import NoScheduleRendering
from undo_stack import Signal

from oncotrack.scene.views.view_rows import BASELINE_VIEWS, FOLLOWUP_VIEWS, ORIENTATIONS, THIRD_VIEWS
from oncotrack.web.layouts import ONE_SCAN, THREE_VISITS, TWO_SCANS, VIEW_3D, one_scan, three_visits, two_scans
from oncotrack.web.mouse import BEFORE_SLICER
from oncotrack.web.rendering import PAUSE_S, DelayedRendering, RenderingOnce, RenderingWhenSized
from oncotrack.web.view_text import ViewText

_FPS = 30.0
_QUALITY = 90  # JPEG quality of a picture at rest
# of a picture during interaction; it differs because the page drops pictures that arrive while it decodes others, even
# the last one, so that slices must be sent again at rest
_QUALITY_MOVING = 85
_FPS_3D = 5.0


rca_view_factory.RcaImageRenderScheduler = RenderingOnce  # the factory takes no scheduler as an argument


class Views:
    """Slice views and 3D view, with the state that describes them on the page.

    Parameters
    ----------
    app : SlicerApp
    is_busy : callable
        Whether long work runs, which delays the 3D view.
    server : Server
        Its state gets `maximised`, the name of the view that is shown alone.

    Attributes
    ----------
    text : ViewText
        The text over the views.
    """

    added = Signal()
    """(SliceView): a view of a third visit was created."""
    drawn = Signal()
    """(name): a slice view was drawn."""

    def __init__(self, app: SlicerApp, server: Server, is_busy: Callable[[], bool]) -> None:
        self._app, self._state = app, server.state
        self._state.maximised = ""
        server.trigger("oncotrack.are_views_at_rest")(self.are_at_rest)
        self.text = ViewText(server)
        self._are_all_sized = threading.Event()
        self._size_before: dict[SliceView, tuple[int, int]] = {}
        self._has_third = self._is_window_of_pet = False
        self.is_projecting = False
        factories = []
        for kind, view_type, quality in (
            (SliceView, ViewType.SLICE_VIEW, _QUALITY_MOVING),
            (ThreeDView, ViewType.THREE_D_VIEW, _QUALITY),  # slow to render: one picture, of full quality
        ):
            factories.append(
                RemoteViewFactory(
                    server,
                    # otherwise a view would render after each of some sixty changes during its creation
                    partial(kind, scheduled_render_strategy=NoScheduleRendering()),
                    view_type,
                    populate_view_ui_f=self._decorate,
                    target_fps=_FPS,
                    blur_fps=_FPS,
                    interactive_quality=quality,
                    rca_event_throttle_s=0.02,
                )
            )
            app.view_manager.register_factory(factories[-1])
        self.layout = LayoutManager(app.scene, app.view_manager, server)
        with _quiet():
            self.layout.register_layout(TWO_SCANS, two_scans())
            self.layout.register_layout(ONE_SCAN, one_scan())
            self.layout.set_layout(TWO_SCANS)
        self._unsized: set[SliceView] = set()
        self._slice_factory = factories[0]
        self.view_3d: ThreeDView = app.view_manager.get_view(VIEW_3D)
        draw = factories[-1].get_factory_view(VIEW_3D).view_adapter.schedule_render
        self.view_3d.set_scheduled_render(DelayedRendering(draw, is_busy))
        self._is_busy = is_busy
        self._scan_3d: tuple[slicer.vtkMRMLScalarVolumeNode, str] | None = None
        node = self.view_3d.get_view_node()
        node.SetVolumeRenderingQuality(slicer.vtkMRMLViewNode.Adaptive)
        node.SetExpectedFPS(_FPS_3D)
        # without these rates a picture at rest would take seconds with software rendering
        interactor = self.view_3d.interactor()
        interactor.SetStillUpdateRate(_FPS_3D)
        interactor.SetDesiredUpdateRate(_FPS_3D)
        self.view_3d.render_window().SetDesiredUpdateRate(_FPS_3D)
        RenderingOnce.captions[self.view_3d.render_window()] = self.text.caption_of_3d(VIEW_3D)
        for view in self.slices():
            self._prepare(view)

    def _prepare(self, view: SliceView) -> None:
        """Connect a new slice view with the page."""
        self._unsized.add(view)
        adapter = self._slice_factory.get_factory_view(view.get_singleton_tag()).view_adapter
        view.set_scheduled_render(RenderingWhenSized(adapter.schedule_render, lambda: view not in self._unsized))
        self._choose_window(view)  # dragging sets the window of the scan, not of the map over it
        view.get_view_node().AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._note_slice(view))
        # a window that is dragged changes only the picture, for which no part of the view asks to be drawn
        logic = self._app.app_logic.GetSliceLogic(view.get_view_node())
        logic.AddObserver(vtk.vtkCommand.ModifiedEvent, view.schedule_render)
        interactor = view.interactor()
        with _quiet():
            interactor.AddObserver(vtk.vtkCommand.WindowResizeEvent, lambda *_: self._note_size(view))
        for event in ("MouseMoveEvent", "MouseWheelForwardEvent", "MouseWheelBackwardEvent"):
            interactor.AddObserver(
                event, lambda *_: setattr(RenderingOnce, "pointed", view.render_window()), BEFORE_SLICER
            )
        view.render_window().AddObserver("EndEvent", lambda *_: self.drawn.emit(view.get_singleton_tag()))
        RenderingOnce.captions[view.render_window()] = self.text.caption_of(view)

    def slices(self) -> list[SliceView]:
        """Return the slice views: six, and those of a third visit once it was shown."""
        views = map(self._app.view_manager.get_view, BASELINE_VIEWS + FOLLOWUP_VIEWS + THIRD_VIEWS)
        return [view for view in views if view is not None]

    def set_window_of_pet(self, of_pet: bool) -> None:
        """Make Slicer's window and level drags set the window of the PET over the scan, or that of the scan again."""
        self._is_window_of_pet = of_pet
        for view in self.slices():
            self._choose_window(view)

    def _choose_window(self, view: SliceView) -> None:
        bars = view.get_displayable_manager_by_class(slicer.vtkMRMLScalarBarDisplayableManager)
        bars.SetAdjustForegroundWindowLevelEnabled(self._is_window_of_pet)
        bars.SetAdjustBackgroundWindowLevelEnabled(not self._is_window_of_pet)

    @property
    def is_three(self) -> bool:
        """Whether three visits are shown."""
        return self.layout.layout_id in THREE_VISITS

    @contextmanager
    def blocked(self) -> Iterator[None]:
        """Return a context in which drawing is suspended; the views are drawn once afterwards."""
        views: list[AbstractView] = [*self.slices(), self.view_3d]
        with ExitStack() as stack:
            for view in views:
                before = view.set_render_blocked(True)
                stack.callback(view.set_render_blocked, before)
            yield

    def are_at_rest(self) -> bool:
        """Return whether no view is to be drawn; the page has its last pictures with the answer to its next request."""
        return RenderingOnce.are_at_rest()

    def wait_until_shown(self, seconds: float) -> None:
        """Wait until the page has sized the slice views and has their pictures; not to be called on the page's thread."""
        latest = time.monotonic() + seconds
        self._are_all_sized.wait(seconds)
        time.sleep(PAUSE_S / 2)  # until the views are requested in their new size
        while time.monotonic() < latest and not RenderingOnce.are_at_rest():
            time.sleep(PAUSE_S / 10)

    def arrange(self, scans: int, third: int = 0) -> None:
        """Arrange the views of one, two or three scans, the third visit in a place from the left (0 to 2).

        A new layout fits the views to the whole scans.
        """
        layout = {1: ONE_SCAN, 2: TWO_SCANS, 3: THREE_VISITS[third]}[scans]
        if layout == self.layout.layout_id:
            return
        self.maximise("")
        before = {view: view.is_render_blocked for view in (*self.slices(), self.view_3d)}
        if scans == 3 and not self._has_third:
            self._has_third = True
            with _quiet():
                for place, name in enumerate(THREE_VISITS):
                    self.layout.register_layout(name, three_visits(place))
        self.layout.set_layout(layout)
        for view, was_blocked in before.items():
            view.set_render_blocked(was_blocked)
        for view in set(self.slices()) - set(before):
            self._prepare(view)
            self.added.emit(view)
        self._expect_sizes()

    def _expect_sizes(self) -> None:
        """Fit each view again when the page has resized it; Slicer would keep the height of the region that it shows."""
        self._size_before = {view: view.get_view_node().GetDimensions()[:2] for view in self.slices()}

    def fit(self) -> None:
        """Fit every slice view to the whole scan, along its own orientation."""
        for view in self.slices():
            name = view.get_singleton_tag()
            view.set_orientation(next(each for each in ORIENTATIONS if name.endswith(each)))
            view.fit_view_to_content()
        if self._size_before:
            self._expect_sizes()

    def show_3d(self, volume: slicer.vtkMRMLScalarVolumeNode | None, preset: str) -> None:
        """Render only this scan in the 3D view, by the named preset of Slicer, as soon as no long work runs.

        The first volume rendering takes a second or more, during which the page does not answer.
        """
        is_waiting = self._scan_3d is not None
        self._scan_3d = volume, preset
        if not is_waiting:
            asyncio.get_event_loop().call_later(PAUSE_S, self._show_3d)

    def _show_3d(self) -> None:
        if self._is_busy():
            asyncio.get_event_loop().call_later(PAUSE_S, self._show_3d)
            return
        (volume, preset), self._scan_3d = self._scan_3d, None
        if not self.is_projecting and (volume is None or self._app.scene.IsNodePresent(volume)):
            with self.blocked():
                self._render_3d(volume, preset)

    def _render_3d(self, volume: slicer.vtkMRMLScalarVolumeNode | None, preset: str) -> None:
        rendering = self._app.volume_rendering
        shown = self._app.scene.GetNodesByClass("vtkMRMLVolumeRenderingDisplayNode")
        shown.UnRegister(None)
        for index in range(shown.GetNumberOfItems()):
            display = shown.GetItemAsObject(index)
            display.SetVisibility(volume is not None and display.GetDisplayableNode() is volume)
        self.text.solid = volume
        if volume is None:
            return
        is_new = not rendering.has_vr_display_node(volume)
        display = rendering.create_display_node(volume, preset)
        display.SetViewNodeIDs([self.view_3d.get_view_node_id()])
        if not is_new:
            rendering.apply_preset(display, preset)
        display.SetVisibility(True)
        if is_new:
            self.view_3d.fit_view_to_content()

    def shown(self) -> list[tuple[float, ...]]:
        """Return what the slice views show: of each the matrix from pixels to RAS mm, rounded."""
        matrices = [view.get_view_node().GetXYToRAS() for view in self.slices()]
        return [tuple(round(each.GetElement(*divmod(n, 4)), 3) for n in range(16)) for each in matrices]

    def reset(self, name: str) -> None:
        """Fit one view to its whole scan; a slice view keeps its slice."""
        view = self._app.view_manager.get_view(name)
        node = view.get_view_node()
        offset = node.GetSliceOffset() if node.IsA("vtkMRMLSliceNode") else None
        was_modifying = node.StartModify()  # one change, so that linked views stay
        view.fit_view_to_content()
        if offset is not None:
            node.SetSliceOffset(offset)
        node.EndModify(was_modifying)

    def maximise(self, name: str) -> None:
        """Show one view alone and draw no other one; "" shows all views again.

        The page only covers the other views, so that each keeps its zoom and position.
        """
        if name == self._state.maximised:
            return
        self._state.maximised = name
        for view in (*self.slices(), self.view_3d):
            view.set_render_blocked(name not in ("", view.get_singleton_tag()))

    def toggle_maximised(self, name: str) -> None:
        """Show one view alone, or all views again."""
        self.maximise("" if self._state.maximised else name)

    def _note_size(self, view: SliceView) -> None:
        """Set `_are_all_sized` a little after the last slice view has got its size from the page."""
        self._unsized.discard(view)
        shown = set(self._app.view_manager.get_current_view_ids())
        if not any(each.get_singleton_tag() in shown for each in self._unsized):
            asyncio.get_event_loop().call_later(PAUSE_S, self._are_all_sized.set)

    def _note_slice(self, view: SliceView) -> None:
        """Fit a view to its scan when the page gives it another size after a new layout; keep other views from drawing."""
        node = view.get_view_node()
        plane = self._app.app_logic.GetSliceLogic(node).GetSliceModelNode()
        if plane is not None:  # hidden, and yet each of its changes would render all other views
            plane.DisableModifiedEventOn()
        size = node.GetDimensions()[:2]
        if size != self._size_before.get(view, size):
            del self._size_before[view]
            asyncio.get_event_loop().call_soon(self._fit_again, view)  # after Slicer has finished its own fitting

    def _fit_again(self, view: SliceView) -> None:
        with self._state:
            view.fit_view_to_content()

    def _decorate(self, _server: Server, _view_id: str, view: AbstractView) -> None:
        name = view.get_singleton_tag()
        self.text.build(name, lambda: self.reset(name), lambda: self.toggle_maximised(name))


@contextmanager
def _quiet() -> Iterator[None]:
    """Return a context without VTK's warnings: every view warns about a deprecated event."""
    vtk.vtkObject.GlobalWarningDisplayOff()
    try:
        yield
    finally:
        vtk.vtkObject.GlobalWarningDisplayOn()
