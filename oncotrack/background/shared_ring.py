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

from oncotrack.background.arrays import Read, Stored, filled

_SLOT = 2**21
_SLOTS = 4
_SIZE = _SLOT * _SLOTS
_FLOAT32 = np.dtype(np.float32)
_SMALLEST = 2**16  # bytes; smaller arrays travel in the message
_ALIGNED = 64  # bytes, of a slice in its slot
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
        Sends "array" (number, bytes), "piece" (number, first byte, bytes, slot) and "slices" (number, number of the first
        slice, shape of a slice, slot, for each slice its place in the slot, type, slope and intercept) before the message
        with the object.
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

    def stacked(self, shape: Sequence[int], read: Read) -> np.ndarray:
        """Send slices as stored while they are read, as `arrays.stacked` describes; the receiver computes their values.

        So reading and computing share the work, which is not more than in one process.

        Parameters
        ----------
        shape, read
            As in `arrays.filled`.

        Returns
        -------
        ndarray
            Stands for the array in the object that is sent; an access to its values ends this process.
        """
        slices, rows, columns = map(int, shape)
        part = rows * columns * _FLOAT32.itemsize
        if not _CAN_STACK or part * slices < _SMALLEST or part > _SLOT:
            return filled(shape, read)
        reserved = _reserved(part * slices)
        self._stacked[reserved.ctypes.data] = number = self._begin(part * slices)
        first = 0
        while first < slices:
            slot = self._free.get()
            try:
                sent = _read_some(self._ring.slot(slot), range(first, slices), (rows, columns), read)
            except BaseException:
                self.release(slot)
                raise
            self._send("slices", (number, first, (rows, columns), slot, sent))
            first += len(sent)
        return reserved.view(np.float32).reshape(slices, rows, columns)

    def clear(self) -> None:
        """Forget the stacks that were read; the object that holds them will not be sent."""
        self._stacked.clear()

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
        Sends "free" (slot) when a piece or slices were read.
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
        elif kind == "slices":
            number, first, shape, slot, sent = details
            slices, memory = self._arrays[number].view(np.float32).reshape(-1, *shape), self._ring.slot(slot)
            for out, (start, of_type, slope, intercept) in zip(slices[first:], sent, strict=False):
                values = np.frombuffer(memory, of_type, out.size, start).reshape(shape)
                Stored(values, slope, intercept).write(out)
            self._send("free", slot)
        return kind in ("array", "piece", "slices")

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


def _read_some(
    memory: np.ndarray, numbers: Sequence[int], shape: tuple[int, int], read: Read
) -> list[tuple[int, str, float, float]]:
    """Read slices into a slot while there is room for one of any type; return where and how each is stored."""
    part, start, sent = _FLOAT32.itemsize * shape[0] * shape[1], 0, []
    while len(sent) < len(numbers) and start + part <= memory.nbytes:
        room = memory[start : start + part]
        of_type, slope, intercept = _put(read(numbers[len(sent)], room), room, shape)
        sent.append((start, of_type.str, slope, intercept))
        start += -(-shape[0] * shape[1] * of_type.itemsize // _ALIGNED) * _ALIGNED
    return sent


def _put(stored: Stored, room: np.ndarray, shape: tuple[int, int]) -> tuple[np.dtype, float, float]:
    """Make sure that the stored values of a slice lie at the beginning of its bytes; return type, slope and intercept."""
    if stored.values.shape != shape:
        raise ValueError(f"a slice of {stored.values.shape} in a stack of {shape}")
    if stored.values.itemsize > _FLOAT32.itemsize:
        stored.write(room.view(_FLOAT32).reshape(shape))
        return _FLOAT32, 1.0, 0.0
    if not np.may_share_memory(stored.values, room):
        room[: stored.values.nbytes].view(stored.values.dtype).reshape(shape)[...] = stored.values
    return stored.values.dtype, stored.slope, stored.intercept


def _reserved(size: int) -> np.ndarray:
    """Return addresses without memory, (size,) uint8; an access to them ends the process."""
    reserved = np.frombuffer(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), np.uint8)
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    if protect(reserved.ctypes.data, size, 0):
        raise OSError(ctypes.get_errno(), "mprotect failed")
    return reserved
