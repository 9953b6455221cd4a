"""Wrappers of the modules' parameter nodes: one for each node, kept as long as Slicer runs.

A wrapper observes its node with functions of its own. Slicer calls them as long as the node exists, also after a module was
reloaded; when the wrapper has been deleted by then, Slicer crashes. This module is not reloaded with the others.
"""

_WRAPPERS = []


def wrapped(wrapper_class, node):
    """Return the wrapper of a parameter node, created on the first call for this node and this class."""
    for known_class, known_node, wrapper in _WRAPPERS:
        if known_class is wrapper_class and known_node is node:
            return wrapper
    _WRAPPERS.append((wrapper_class, node, wrapper_class(node)))
    return _WRAPPERS[-1][2]
