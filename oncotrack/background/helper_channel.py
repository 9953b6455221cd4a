"""Messages between a program and its helper process; large arrays travel beside them through shared memory."""

from __future__ import annotations

import pickle
import threading
from typing import Any, BinaryIO


class Channel:
    """Both directions between two processes.

    To the helper go "call" and "stop"; to the program "result", "error", "progress" and "log"; both ways "array", "piece",
    "slices" and "free" of `oncotrack.background.shared_ring`.

    Parameters
    ----------
    incoming, outgoing : binary file
        Pipes.
    """

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._incoming, self._outgoing = incoming, outgoing
        self._lock = threading.Lock()

    def send(self, kind: str, details: Any) -> None:
        """Send a message.

        Parameters
        ----------
        kind : str
            See the class.
        details : object
            Depends on the kind.

        Raises
        ------
        OSError
            The other process has ended.
        """
        content = pickle.dumps((kind, details), 5)
        with self._lock:
            self._outgoing.write(content)
            self._outgoing.flush()

    def receive(self) -> tuple[str, Any]:
        """Wait for a message and return its kind and details.

        Raises
        ------
        EOFError
            The other process has ended, or sent something else.
        """
        try:
            kind, details = pickle.load(self._incoming)
        except (
            OSError,
            ValueError,
            TypeError,
            AttributeError,
            ImportError,
            IndexError,
            pickle.UnpicklingError,
        ) as error:
            raise EOFError from error
        return kind, details
