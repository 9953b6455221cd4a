"""VTK observers that can be removed together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import vtk


class Observers:
    """A set of observers; `clear` removes every one of them."""

    def __init__(self) -> None:
        self._tags: dict[vtk.vtkObject, list[int]] = {}

    def add(self, watched: vtk.vtkObject, event: int | str, callback: Callable[[vtk.vtkObject, Any], None]) -> None:
        """Call `callback(watched, None)` on each `event`."""
        tag = watched.AddObserver(event, lambda caller, _name: callback(caller, None))
        self._tags.setdefault(watched, []).append(tag)

    def add_with_node(self, watched: vtk.vtkObject, event: int, callback: Callable[[vtk.vtkObject, Any], None]) -> None:
        """Call `callback(watched, node)` on each `event` that carries a node, such as a scene's NodeRemovedEvent."""

        def forward(caller, _name, node):
            callback(caller, node)

        forward.CallDataType = vtk.VTK_OBJECT
        self._tags.setdefault(watched, []).append(watched.AddObserver(event, forward))

    def watches(self, watched: vtk.vtkObject) -> bool:
        """Return whether any event of this object is observed."""
        return watched in self._tags

    def drop(self, watched: vtk.vtkObject) -> None:
        """Stop observing one object."""
        for tag in self._tags.pop(watched, ()):
            watched.RemoveObserver(tag)

    def clear(self) -> None:
        """Stop observing everything."""
        for watched in list(self._tags):
            self.drop(watched)
