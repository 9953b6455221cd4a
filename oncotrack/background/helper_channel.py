"""Messages between a program and its helper process, with arrays in shared memory."""

from __future__ import annotations

import os
import pickle
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from oncotrack.background.shared_blocks import Block, Packed

_KNOWN = "known"


@dataclass(frozen=True)
class Message:
    """A message.

    Parameters
    ----------
    kind : str
        To the helper: "call", "taken" (the blocks of a result were opened) and "forget" (the block that was lent). To the
        program: "result", "error", "progress", "log".
    details : object
        Depends on the kind; small.
    packed : Packed or None
        An object with arrays.
    """

    kind: str
    details: Any = None
    packed: Packed | None = None


class Channel:
    """Both directions between two processes.

    Parameters
    ----------
    incoming, outgoing : binary file
        Pipes.
    blocks : socket or None
        Carries the descriptors of blocks; None on Windows, where blocks have names.
    """

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO, blocks: socket.socket | None) -> None:
        self._incoming, self._outgoing, self._blocks = incoming, outgoing, blocks
        self._lock = threading.Lock()

    def send(self, message: Message, known: Block | None = None) -> None:
        """Send a message; the sender keeps its blocks until the receiver has opened them.

        Parameters
        ----------
        message : Message
            The message.
        known : Block, optional
            A block that the receiver has open.

        Raises
        ------
        OSError
            The other process has ended.
        """
        packed = message.packed
        blocks = packed.blocks if packed else ()
        handles = [
            (block.size, _KNOWN if block is known else block.handle if self._blocks is None else None)
            for block in blocks
        ]
        content = (packed.content, packed.spans) if packed else None
        with self._lock:
            pickle.dump((message.kind, message.details, content, handles), self._outgoing, 5)
            self._outgoing.flush()
            for block, (_size, handle) in zip(blocks, handles, strict=True):
                if handle is None and self._blocks is not None:
                    socket.send_fds(self._blocks, [b"b"], [int(block.handle)])

    def receive(self, known: Callable[[], Block | None] = lambda: None) -> Message:
        """Wait for a message and return it.

        Parameters
        ----------
        known : callable
            Returns the block that the sender knows to be open here.

        Raises
        ------
        EOFError
            The other process has ended, or sent something else.
        """
        try:
            kind, details, content, handles = pickle.load(self._incoming)
            blocks = [known() if handle == _KNOWN else self._opened(size, handle) for size, handle in handles]
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
        return Message(kind, details, Packed(content[0], content[1], tuple(filter(None, blocks))) if content else None)

    def _opened(self, size: int, handle: str | None) -> Block:
        if self._blocks is None:
            return Block(size, handle)
        _data, handles, _flags, _address = socket.recv_fds(self._blocks, 1, 1)
        if not handles:
            raise EOFError
        os.set_inheritable(handles[0], False)
        return Block(size, handles[0])
