"""The views of the page: slice views of one scan, or of baseline and follow-up side by side, and one 3D view."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import numpy as np
import slicer
import vtk
from trame_rca.schedulers.image_scheduler import RcaImageRenderScheduler
from trame_server import Server
from trame_slicer.core import LayoutManager, SlicerApp
from trame_slicer.rca_view import rca_view_factory
from trame_slicer.rca_view.rca_view_factory import RemoteViewFactory
from trame_slicer.views import (
    AbstractView,
    Layout,
    LayoutDirection,
    SliceView,
    ThreeDView,
    ViewLayoutDefinition,
    ViewProps,
    ViewType,
)
from trame_slicer.views.render_scheduler import NoScheduleRendering, ScheduledRenderStrategy
from undo_stack import Signal

from oncotrack.scene.views.view_rows import BASELINE_VIEWS, FOLLOWUP_VIEWS, ORIENTATIONS
from oncotrack.web.mouse import BEFORE_SLICER
from oncotrack.web.view_text import ViewText

VIEW_3D = "FollowUp3D"
_ONE_SCAN, _TWO_SCANS = "one scan", "two scans"
_FPS = 30.0
_QUALITY = 90  # JPEG quality of a picture at rest
# of a picture during interaction; it differs because the page drops pictures that arrive while it decodes others, even
# the last one, so that slices must be sent again at rest
_QUALITY_MOVING = 85
_FPS_3D = 5.0
_PAUSE_S = 0.2


class _RenderingWhenSized(ScheduledRenderStrategy):
    """Rendering that is skipped until the page has given the view its size; a change of size renders by itself."""

    def __init__(self, draw: Callable[[], None], is_sized: Callable[[], bool]) -> None:
        super().__init__()
        self._draw, self._is_sized = draw, is_sized

    def schedule_render(self) -> None:
        if self._is_sized():
            self._draw()


class _DelayedRendering(ScheduledRenderStrategy):
    """Rendering that starts a little later than requested, and not while long work runs."""

    def __init__(self, draw: Callable[[], None], must_wait: Callable[[], bool]) -> None:
        super().__init__()
        self._draw, self._must_wait = draw, must_wait
        self._is_scheduled = False

    def schedule_render(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_event_loop().call_later(_PAUSE_S, self._due)

    def _due(self) -> None:
        self._is_scheduled = False
        if self._must_wait():
            self.schedule_render()
        else:
            self._draw()


class _RenderingOnce(RcaImageRenderScheduler):
    """Scheduler that sends the picture at rest from the pixels of the last one, instead of rendering the view again.

    It sends the picture at rest only when nothing was to be drawn since.
    """

    _pixels: tuple[np.ndarray, int, int] | None = None

    def _render_frame(self, quality: int) -> None:
        is_at_rest = quality == self._still_quality != self._interactive_quality
        if not is_at_rest or self._pixels is None:
            self._pixels = self._rca.img_cols_rows
        encoded = asyncio.get_running_loop().run_in_executor(
            self._encode_pool, self._rca_encoder.encode, *self._pixels, quality
        )
        self._push_queue.put_nowait(encoded)


rca_view_factory.RcaImageRenderScheduler = _RenderingOnce  # the factory takes no scheduler as an argument


class Views:
    """Slice views and 3D view, with the state that describes them on the page.

    Parameters
    ----------
    app : SlicerApp
    is_busy : callable
        Whether long work runs, which delays the 3D view.
    server : Server
        Its state gets `mouse_releases`, the number of drags and clicks with the left button in slice views that have
        ended.

    Attributes
    ----------
    text : ViewText
        The text over the views.
    """

    released = Signal()
    """A drag or click with the left button in a slice view is about to end."""

    def __init__(self, app: SlicerApp, server: Server, is_busy: Callable[[], bool]) -> None:
        self._app, self._state = app, server.state
        self._state.mouse_releases = 0
        self.text = ViewText(server)
        self._are_all_sized = threading.Event()
        self._size_before: dict[SliceView, tuple[int, int]] = {}
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
        vtk.vtkObject.GlobalWarningDisplayOff()  # every view warns about a deprecated VTK event
        self.layout.register_layout(_TWO_SCANS, _two_scans())
        self.layout.register_layout(_ONE_SCAN, _one_scan())
        self.layout.set_layout(_TWO_SCANS)
        self._unsized = set(self.slices())
        for view in self.slices():
            view.interactor().AddObserver(vtk.vtkCommand.WindowResizeEvent, lambda *_, view=view: self._note_size(view))
        vtk.vtkObject.GlobalWarningDisplayOn()
        self.view_3d: ThreeDView = app.view_manager.get_view(VIEW_3D)
        draw = factories[-1].get_factory_view(VIEW_3D).view_adapter.schedule_render
        self.view_3d.set_scheduled_render(_DelayedRendering(draw, is_busy))
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
        for view in self.slices():
            adapter = factories[0].get_factory_view(view.get_singleton_tag()).view_adapter
            view.set_scheduled_render(
                _RenderingWhenSized(adapter.schedule_render, lambda view=view: view not in self._unsized)
            )
            # dragging sets the window of the scan, not of the map over it
            view.get_displayable_manager_by_class(
                slicer.vtkMRMLScalarBarDisplayableManager
            ).SetAdjustForegroundWindowLevelEnabled(False)
            view.get_view_node().AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_, view=view: self._note_slice(view))
            self.text.watch(view)
            view.interactor().AddObserver("LeftButtonReleaseEvent", self._count_release, BEFORE_SLICER)

    def slices(self) -> list[SliceView]:
        """Return the six slice views."""
        return [self._app.view_manager.get_view(name) for name in BASELINE_VIEWS + FOLLOWUP_VIEWS]

    @contextmanager
    def blocked(self) -> Iterator[None]:
        """Return a context in which drawing is suspended; the views are drawn once afterwards."""
        views: list[AbstractView] = [*self.slices(), self.view_3d]
        with ExitStack() as stack:
            for view in views:
                before = view.set_render_blocked(True)
                stack.callback(view.set_render_blocked, before)
            yield

    def wait_until_sized(self, seconds: float) -> None:
        """Wait until the page has given the slice views their sizes and shows them; not to be called on the page's thread."""
        self._are_all_sized.wait(seconds)

    def arrange(self, *, is_one_scan: bool) -> None:
        """Arrange the views of the baseline alone or of both scans; a new layout fits the views to the whole scans."""
        layout = _ONE_SCAN if is_one_scan else _TWO_SCANS
        if layout == self.layout.layout_id:
            return
        views = [*self.slices(), self.view_3d]
        blocked = [view.is_render_blocked for view in views]
        self.layout.set_layout(layout)
        for view, was_blocked in zip(views, blocked, strict=True):
            view.set_render_blocked(was_blocked)
        # the page resizes the views later, and Slicer would then keep the height of the region that they show
        self._size_before = {view: view.get_view_node().GetDimensions()[:2] for view in self.slices()}

    def fit(self) -> None:
        """Fit every slice view to the whole scan, along its own orientation."""
        for view in self.slices():
            view.set_orientation(view.get_view_node().GetName().removeprefix("Baseline").removeprefix("FollowUp"))
            view.fit_view_to_content()

    def show_3d(self, volume: slicer.vtkMRMLScalarVolumeNode | None, preset: str) -> None:
        """Render only this scan in the 3D view, by the named preset of Slicer, as soon as no long work runs.

        The first volume rendering takes a second or more, during which the page does not answer.
        """
        is_waiting = self._scan_3d is not None
        self._scan_3d = volume, preset
        if not is_waiting:
            asyncio.get_event_loop().call_later(_PAUSE_S, self._show_3d)

    def _show_3d(self) -> None:
        if self._is_busy():
            asyncio.get_event_loop().call_later(_PAUSE_S, self._show_3d)
            return
        (volume, preset), self._scan_3d = self._scan_3d, None
        if volume is None or self._app.scene.IsNodePresent(volume):
            with self.blocked():
                self._render_3d(volume, preset)

    def _render_3d(self, volume: slicer.vtkMRMLScalarVolumeNode | None, preset: str) -> None:
        rendering = self._app.volume_rendering
        shown = self._app.scene.GetNodesByClass("vtkMRMLVolumeRenderingDisplayNode")
        shown.UnRegister(None)
        for index in range(shown.GetNumberOfItems()):
            display = shown.GetItemAsObject(index)
            display.SetVisibility(volume is not None and display.GetDisplayableNode() is volume)
        self.text.show_solid(VIEW_3D, volume)
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

    def reset(self, name: str) -> None:
        """Fit one view to its whole scan."""
        self._app.view_manager.get_view(name).fit_view_to_content()

    def _note_size(self, view: SliceView) -> None:
        """Set `_are_all_sized` a little after the last slice view has got its size from the page."""
        self._unsized.discard(view)
        shown = set(self._app.view_manager.get_current_view_ids())
        if not any(each.get_singleton_tag() in shown for each in self._unsized):
            asyncio.get_event_loop().call_later(_PAUSE_S, self._are_all_sized.set)

    def _count_release(self, *_event: object) -> None:
        self._state.mouse_releases += 1
        self.released.emit()

    def _note_slice(self, view: SliceView) -> None:
        """Fit a view to its scan when the page gives it another size after a new layout; keep other views from drawing."""
        node = view.get_view_node()
        plane = self._app.app_logic.GetSliceLogic(node).GetSliceModelNode()
        if plane is not None:  # hidden, and yet each of its changes would render all other views
            plane.DisableModifiedEventOn()
        size = node.GetDimensions()[:2]
        if size != self._size_before.get(view, size):
            del self._size_before[view]
            asyncio.get_event_loop().call_soon(view.fit_view_to_content)  # after Slicer has finished its own fitting

    def _decorate(self, _server: Server, _view_id: str, view: AbstractView) -> None:
        name = view.get_singleton_tag()
        self.text.build(name, lambda: self.reset(name))


def _slice(name: str, orientation: str, colour: str) -> ViewLayoutDefinition:
    return ViewLayoutDefinition(name, ViewType.SLICE_VIEW, ViewProps(label=name, orientation=orientation, color=colour))


def _row_of(names: tuple[str, ...]) -> list[ViewLayoutDefinition]:
    colours = ("#F34A33", "#6DAD4A", "#EFD64D")
    return [_slice(*parts) for parts in zip(names, ORIENTATIONS, colours, strict=True)]


def _one_scan() -> Layout:
    axial, *others = _row_of(BASELINE_VIEWS)
    return _large_above_small([axial], [*others, ViewLayoutDefinition.threed_view(name=VIEW_3D, label="3D")])


def _two_scans() -> Layout:
    baseline, followup = _row_of(BASELINE_VIEWS), _row_of(FOLLOWUP_VIEWS)
    small = [*baseline[1:], ViewLayoutDefinition.threed_view(name=VIEW_3D, label="3D"), *followup[1:]]
    return _large_above_small([baseline[0], followup[0]], small)


def _large_above_small(large: list[ViewLayoutDefinition], small: list[ViewLayoutDefinition]) -> Layout:
    across = LayoutDirection.Horizontal
    return Layout(LayoutDirection.Vertical, [Layout(across, large), Layout(across, small)], ["2", "1"])
