"""Arrays travel between two processes through a small shared memory, piece by piece, into ordinary memory of the receiver.

The shared memory is small and stays: it is entered once, it is in the processor's cache, and both processes work at the same
time. It has no name that could be left behind: on Linux and macOS it is an open file that exists in memory only, on Windows a
section that its last user closes.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import pickle
import queue
import secrets
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from oncotrack.background.arrays import Fill, filled

_SLOT = 2**20
_SLOTS = 16
_SIZE = _SLOT * _SLOTS
_SMALLEST = 2**16  # bytes; smaller arrays travel in the message
_CAN_STACK = os.name == "posix"
Send = Callable[[str, Any], object]
"""Sends a message of a kind, with its details."""


class Ring:
    """The shared memory, in slots.

    Parameters
    ----------
    handle : str, optional
        An existing one: a file descriptor, or on Windows a name. A new one is made when missing.
    """

    def __init__(self, handle: str = "") -> None:
        self.descriptor = -1
        if os.name == "nt":  # pragma: no cover
            self.handle = handle or f"oncotrack-{secrets.token_hex(16)}"
            self._memory = mmap.mmap(-1, _SIZE, tagname=self.handle)
        else:
            self.descriptor = int(handle) if handle else _file_in_memory(_SIZE)
            self.handle = str(self.descriptor)
            self._memory = mmap.mmap(self.descriptor, _SIZE)
        self._bytes = np.frombuffer(self._memory, np.uint8)

    def slot(self, number: int, size: int = _SLOT) -> np.ndarray:
        """Return the first bytes of a slot, (size,) uint8.

        Parameters
        ----------
        number : int
            Of the slot.
        size : int
            Bytes.
        """
        return self._bytes[number * _SLOT : number * _SLOT + size]

    def close(self) -> None:
        """Close the file; the memory stays while it is used."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def _file_in_memory(size: int) -> int:
    """Return the descriptor of a new file that exists in memory only."""
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("oncotrack")
    else:  # pragma: no cover - macOS
        from _posixshmem import shm_open, shm_unlink  # type: ignore[import-not-found]

        name = f"/oncotrack-{secrets.token_hex(8)}"
        handle = shm_open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode=0o600)
        shm_unlink(name)
    os.ftruncate(handle, size)
    return handle


class Outgoing:
    """Sends the large arrays of objects; only one process sends at a time.

    Parameters
    ----------
    ring : Ring
        The memory.
    send : callable
        Sends "array" (number, bytes) and "piece" (number, first byte, bytes, slot) before the message with the object.
    """

    def __init__(self, ring: Ring, send: Send) -> None:
        self._ring, self._send = ring, send
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for slot in range(_SLOTS):
            self._free.put(slot)
        self._stacked: dict[int, int] = {}  # first address of a reserved array: its number
        self._next = 0

    def release(self, slot: int) -> None:
        """Use a slot again, which the receiver has read.

        Parameters
        ----------
        slot : int
            Its number.
        """
        self._free.put(slot)

    def stacked(self, shape: Sequence[int], dtype: Any, fill: Fill) -> np.ndarray:
        """Send an array part by part while it is filled, as `arrays.stacked` describes.

        Parameters
        ----------
        shape, dtype, fill
            As in `arrays.filled`.

        Returns
        -------
        ndarray
            Stands for the array in the object that is sent; an access to its values ends this process.
        """
        dtype = np.dtype(dtype)
        part = int(np.prod(shape[1:], dtype=object)) * dtype.itemsize
        size = part * int(shape[0])
        if not _CAN_STACK or size < _SMALLEST or part > _SLOT:
            return filled(shape, dtype, fill)
        reserved = _reserved(size)
        self._stacked[reserved.ctypes.data] = number = self._begin(size)
        at_once = _SLOT // part
        for first in range(0, shape[0], at_once):
            count = min(at_once, shape[0] - first)
            slot = self._free.get()
            parts = self._ring.slot(slot, count * part).view(dtype).reshape(count, *shape[1:])
            for each in range(count):
                fill(first + each, parts[each])
            self._send("piece", (number, first * part, count * part, slot))
        return reserved.view(dtype).reshape(tuple(shape))

    def pack(self, value: Any) -> tuple[bytes, tuple[int, ...]]:
        """Send the large arrays of an object; return its other bytes, and the numbers of the arrays.

        Parameters
        ----------
        value : object
            Anything that can be pickled.
        """
        numbers: list[int] = []

        def _is_small(buffer: pickle.PickleBuffer) -> bool:
            memory = np.frombuffer(buffer.raw(), np.uint8)
            if memory.nbytes < _SMALLEST:
                return True
            known = self._stacked.get(memory.ctypes.data)
            numbers.append(self._sent(memory) if known is None else known)
            return False

        content = pickle.dumps(value, 5, buffer_callback=_is_small)
        self._stacked.clear()
        return content, tuple(numbers)

    def _begin(self, size: int) -> int:
        self._next += 1
        self._send("array", (self._next, size))
        return self._next

    def _sent(self, memory: np.ndarray) -> int:
        number = self._begin(memory.nbytes)
        for first in range(0, memory.nbytes, _SLOT):
            piece = memory[first : first + _SLOT]
            slot = self._free.get()
            self._ring.slot(slot, piece.nbytes)[:] = piece
            self._send("piece", (number, first, piece.nbytes, slot))
        return number


class Incoming:
    """Receives arrays and the objects that hold them.

    Parameters
    ----------
    ring : Ring
        The memory.
    send : callable
        Sends "free" (slot) when a piece was read.
    """

    def __init__(self, ring: Ring, send: Send) -> None:
        self._ring, self._send = ring, send
        self._arrays: dict[int, np.ndarray] = {}

    def take(self, kind: str, details: Any) -> bool:
        """Return whether a message belongs to an array, which is received then.

        Parameters
        ----------
        kind : str
            Of the message.
        details : object
            Of the message.

        Raises
        ------
        MemoryError
            The array is too large.
        """
        if kind == "array":
            number, size = details
            self._arrays[number] = np.empty(size, np.uint8)
        elif kind == "piece":
            number, first, size, slot = details
            self._arrays[number][first : first + size] = self._ring.slot(slot, size)
            self._send("free", slot)
        return kind in ("array", "piece")

    def unpack(self, content: bytes, numbers: Sequence[int]) -> Any:
        """Return an object with the arrays that have arrived; arrays that it does not hold are dropped.

        Parameters
        ----------
        content : bytes
            From `Outgoing.pack`.
        numbers : sequence of int
            From `Outgoing.pack`.
        """
        received = [self._arrays[number] for number in numbers]
        self._arrays.clear()
        return pickle.loads(content, buffers=received)

    def clear(self) -> None:
        """Drop what has arrived; the object will not come."""
        self._arrays.clear()


def _reserved(size: int) -> np.ndarray:
    """Return addresses without memory, (size,) uint8; an access to them ends the process."""
    reserved = np.frombuffer(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), np.uint8)
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    if protect(reserved.ctypes.data, size, 0):
        raise OSError(ctypes.get_errno(), "mprotect failed")
    return reserved
