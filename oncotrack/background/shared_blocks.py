"""Blocks of memory that two processes share, and objects whose arrays travel in them without being copied.

A block has no name that could be left behind: on Linux and macOS it is an open file that exists in memory only, on Windows a
section that its last user closes. It is freed when both processes have dropped it, also when one of them is killed.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import pickle
import secrets
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_SMALLEST = 2**16  # bytes; smaller arrays travel in the message
_ALIGNED = 64
CAN_BE_LENT = os.name == "posix"
"""Whether `Block.lock` works."""


class Block:
    """Memory that another process can map too.

    Parameters
    ----------
    size : int
        Bytes.
    handle : int or str, optional
        An existing block: a file descriptor, or on Windows a name. A new block is made when missing.

    Raises
    ------
    MemoryError
        The system refuses so much memory.
    """

    def __init__(self, size: int, handle: int | str | None = None) -> None:
        self.size = size
        try:
            if os.name == "nt":  # pragma: no cover
                self.handle: int | str = handle or f"oncotrack-{secrets.token_hex(16)}"
                self._memory = mmap.mmap(-1, size, tagname=str(self.handle))
            else:
                self.handle = _file_in_memory(size) if handle is None else int(handle)
                weakref.finalize(self, os.close, self.handle)
                self._memory = mmap.mmap(self.handle, size)
        except (OSError, ValueError, OverflowError) as error:
            raise MemoryError(f"{size} bytes of shared memory were refused") from error

    def bytes(self) -> np.ndarray:
        """Return the memory as uint8; it stays mapped as long as this array or a view of it is used."""
        return np.frombuffer(self._memory, np.uint8)

    def lock(self, is_locked: bool) -> None:
        """Forbid this process any access to the memory, or allow it again; the other process is not concerned.

        Parameters
        ----------
        is_locked : bool
            An access to locked memory ends the process.
        """
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        protect.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
        access = 0 if is_locked else mmap.PROT_READ | mmap.PROT_WRITE
        if protect(self.bytes().ctypes.data, self.size, access):
            raise OSError(ctypes.get_errno(), "mprotect failed")


def _file_in_memory(size: int) -> int:
    """Return the descriptor of a new file that exists in memory only."""
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("oncotrack")
    else:  # pragma: no cover - macOS
        from _posixshmem import shm_open, shm_unlink  # type: ignore[import-not-found]

        name = f"/oncotrack-{secrets.token_hex(8)}"
        handle = shm_open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode=0o600)
        shm_unlink(name)
    try:
        os.ftruncate(handle, size)
    except OSError:
        os.close(handle)
        raise
    return handle


@dataclass(frozen=True)
class Packed:
    """An object as bytes, and the blocks with its arrays.

    Parameters
    ----------
    content : bytes
        The pickled object without its arrays.
    spans : tuple
        For each array: number of its block, first byte and length.
    blocks : tuple of Block
        The blocks.
    """

    content: bytes
    spans: tuple[tuple[int, int, int], ...]
    blocks: tuple[Block, ...]


class Arena:
    """Makes arrays in blocks, and recognises them when they are sent.

    Parameters
    ----------
    spare : callable, optional
        Returns a block that is used for the first array if that fits in.
    """

    def __init__(self, spare: Callable[[], Block] | None = None) -> None:
        self._spare = spare
        self._blocks: list[tuple[int, Block]] = []

    def empty(self, shape: Sequence[int], dtype: Any) -> np.ndarray:
        """Return an array of undefined content in a block.

        Parameters
        ----------
        shape : sequence of int
            Its shape.
        dtype : dtype
            Its type.

        Raises
        ------
        MemoryError
            The system refuses so much memory.
        """
        dtype, size = np.dtype(dtype), int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
        if size < _SMALLEST:
            return np.empty(shape, dtype)
        spare, self._spare = self._spare and self._spare(), None
        block = spare if spare is not None and size <= spare.size <= 2 * size else Block(size)
        memory = block.bytes()
        self._blocks.append((memory.ctypes.data, block))
        return memory[:size].view(dtype).reshape(tuple(shape))

    def pack(self, value: Any) -> Packed:
        """Return an object for another process; arrays made by `empty` are not copied.

        Parameters
        ----------
        value : object
            Anything that can be pickled.
        """
        buffers: list[np.ndarray] = []

        def _is_small(buffer: pickle.PickleBuffer) -> bool:
            memory = np.frombuffer(buffer.raw(), np.uint8)
            if memory.nbytes < _SMALLEST:
                return True
            buffers.append(memory)
            return False

        content = pickle.dumps(value, 5, buffer_callback=_is_small)
        places = [self._place(memory) for memory in buffers]
        copied = [memory for memory, place in zip(buffers, places, strict=True) if place is None]
        used = list(dict.fromkeys(place[0] for place in places if place is not None))
        blocks = [self._blocks[number][1] for number in used]
        spans, end = [], 0
        whole = Block(sum(_padded(memory.nbytes) for memory in copied)) if copied else None
        target = whole.bytes() if whole is not None else np.empty(0, np.uint8)
        for memory, place in zip(buffers, places, strict=True):
            if place is None:
                target[end : end + memory.nbytes] = memory
                spans.append((len(blocks), end, memory.nbytes))
                end += _padded(memory.nbytes)
            else:
                spans.append((used.index(place[0]), place[1], memory.nbytes))
        return Packed(content, tuple(spans), tuple(blocks) + ((whole,) if whole is not None else ()))

    def _place(self, memory: np.ndarray) -> tuple[int, int] | None:
        """Return number and first byte in its block of an array that `empty` made; None for another one."""
        start = memory.ctypes.data
        for number, (first, block) in enumerate(self._blocks):
            if first <= start and start + memory.nbytes <= first + block.size:
                return number, start - first
        return None


def unpack(packed: Packed, released: Callable[[Block], object] | None = None) -> Any:
    """Return the object; its arrays lie in the blocks, can be written to, and keep them alive.

    Parameters
    ----------
    packed : Packed
        What `Arena.pack` returned in the other process.
    released : callable, optional
        Called with each block when the last array in it is gone.
    """
    memories = []
    for block in packed.blocks:
        memory = block.bytes()
        if released is not None:
            weakref.finalize(memory, released, block).atexit = False
        memories.append(memory)
    return pickle.loads(
        packed.content, buffers=[memories[number][start : start + size] for number, start, size in packed.spans]
    )


def _padded(size: int) -> int:
    return -(-size // _ALIGNED) * _ALIGNED
