"""The tracking method that a reader chose: stored in the scene, loaded once, reset if it cannot be loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from undo_stack import Signal

from oncotrack.background.jobs import Progress
from oncotrack.errors import InputError
from oncotrack.followup.methods import METHOD_INFO, Method
from oncotrack.followup.methods import tracker as make_tracker
from oncotrack.followup.tracker import SupportsProbabilityMap, Tracker
from oncotrack.scene.nodes.finding_nodes import FindingNodes
from oncotrack.scene.nodes.node_registry import LIST
from oncotrack.scene.nodes.tasks import Task

TRACKERS: Mapping[str, Callable[[], Tracker]] = {name: partial(make_tracker, name) for name in METHOD_INFO}
"""Methods by name; the first is the default."""
_METHOD = "OncoTrack.method"


class TrackingMethod:
    """The trackers to choose from, and the one in use.

    Parameters
    ----------
    nodes : FindingNodes
        The name is stored in the text node of the list.
    trackers : mapping of name to factory
        A factory may load weights: it is called once, on the worker thread.
    """

    changed = Signal()
    """Another tracker is in use."""

    def __init__(self, nodes: FindingNodes, trackers: Mapping[str, Callable[[], Tracker]]) -> None:
        self._nodes = nodes
        self.factories = dict(trackers)
        self._loaded: dict[str, Tracker] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the trackers."""
        return tuple(self.factories)

    @property
    def name(self) -> str:
        """Name of the tracker in use: the one stored in the scene, else the default."""
        node = self._nodes.registry.find(LIST)
        stored = node.GetAttribute(_METHOD) if node else None
        return stored if stored in self.factories else self.names[0]

    @name.setter
    def name(self, name: str) -> None:
        if name not in self.factories:
            raise InputError(f"There is no method {name}; choose one of {', '.join(self.factories)}.")
        if name != self.name:
            self._nodes.list_node().SetAttribute(_METHOD, name)
            self.changed.emit()

    def about(self, name: str) -> Method:
        """Return a method's title, description and limits."""
        return METHOD_INFO.get(name) or Method(name, "", self.factories[name])

    @property
    def may_map(self) -> bool:
        """Whether the tracker in use gives probability maps; True before it is loaded, because that is unknown."""
        return isinstance(self._loaded.get(self.name), SupportsProbabilityMap | None)

    def choose(self, name: str) -> Task:
        """Return the task that loads another tracker and uses it; if it fails or is cancelled, the previous one is restored."""
        before = self.name
        self.name = name

        def restore() -> None:
            if self.name == name:
                self.name = before

        return Task(
            f"Preparing {self.about(name).title}", lambda progress: self._prepare(name, progress), _identity, restore
        )

    def tracker(self, name: str) -> Tracker:
        """Return a tracker; it is loaded, which may take long, on the first call."""
        if name not in self._loaded:
            self._loaded[name] = self.factories[name]()
        return self._loaded[name]

    def _prepare(self, name: str, progress: Progress) -> str:
        progress(0.1, "")
        self.tracker(name)
        return name


def _identity(name: str) -> str:
    return name
