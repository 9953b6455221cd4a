"""Damage to files: cut short, flipped bits, lost and repeated parts, and headers with odd values."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, replace

import numpy as np

NUMBERS = (
    b"nan",
    b"inf",
    b"-inf",
    b"0",
    b"-1",
    b"1e30",
    b"1e-30",
    b"99999999999",
    b"2147483648",
    b"1e400",
    b"0x10",
    b"",
    b"--",
    b"1;2",
)
_NIFTI = {
    **{f"dim[{n}]": (40 + 2 * n, "<h", (-1, 0, 1, 7, 32767)) for n in range(8)},
    **{f"pixdim[{n}]": (76 + 4 * n, "<f", (np.nan, np.inf, 0.0, -1.0, 1e30, 1e-30)) for n in range(1, 4)},
    **{f"srow[{n}]": (280 + 4 * n, "<f", (np.nan, np.inf, -np.inf, 1e30, -1e30)) for n in range(12)},
    "datatype": (70, "<h", (0, 1, 32, 128, 2304, -1)),
    "vox_offset": (108, "<f", (np.nan, np.inf, -1.0, 1e9, 1e30)),
    "scl_slope": (112, "<f", (np.inf, 1e38)),
    "sform_code": (254, "<h", (-1,)),
    "magic": (344, "4s", (b"xxxx", b"ni1\0")),
}  # fmt: skip


@dataclass(frozen=True)
class Damaged:
    """A damaged file.

    Attributes
    ----------
    content : bytes
        Of the file.
    what : str
        What was done to it.
    is_detectable : bool
        Whether it cannot be a whole file of another content: it must be refused, or read as if nothing had happened.
    voxel_bytes : int
        Where only voxels without a checksum were changed: how many bytes. No more voxels may differ, and nothing else.
    """

    content: bytes
    what: str
    is_detectable: bool
    voxel_bytes: int = 0


def damaged(content: bytes, name: str, header: int, is_checked: bool, random: np.random.Generator) -> Damaged:
    """Return a file with damage of a random kind.

    Parameters
    ----------
    content : bytes
        Of the valid file.
    name : str
        Its name; the suffix chooses the edits of headers.
    header : int
        Bytes of its header.
    is_checked : bool
        Whether a checksum covers all that follows the header.
    random : numpy.random.Generator
        Chooses.
    """
    is_text = name.endswith((".json", ".csv"))
    choices = [_cut, _flipped, _flipped, _lost, _repeated, _zeroed]
    if header and name.endswith((".nrrd", ".nhdr", ".mha", ".mhd")):
        choices += [_header_value] * 4
    if name.endswith(".nii"):
        choices += [_nifti_value] * 6
    if is_text:
        choices += [_text_value] * 6
    made = choices[random.integers(len(choices))](content, header, is_checked and not is_text, random)
    if is_text or is_checked or len(made.content) != len(content) or made.content[:header] != content[:header]:
        return made
    old, new = (np.frombuffer(each, np.uint8) for each in (content, made.content))
    return replace(made, voxel_bytes=int((old != new).sum()))


def _cut(content: bytes, header: int, _is_checked: bool, random: np.random.Generator) -> Damaged:
    where = int(random.integers(len(content)))
    # a text that ends early may be a shorter text, and a header without the file of its voxels
    return Damaged(content[:where], f"cut at byte {where} of {len(content)}", header < len(content) and header != 0)


def _flipped(content: bytes, header: int, is_checked: bool, random: np.random.Generator) -> Damaged:
    changed, first = bytearray(content), len(content)
    bits = int(random.choice([1, 1, 1, 4, 64]))
    in_header = bool(header) and random.random() < 0.5
    for _ in range(bits):
        where = int(random.integers(header if in_header else len(content)))
        changed[where] ^= 1 << int(random.integers(8))
        first = min(first, where)
    return Damaged(bytes(changed), f"{bits} bits flipped, first in byte {first}", is_checked and first >= header)


def _lost(content: bytes, header: int, is_checked: bool, random: np.random.Generator) -> Damaged:
    start, count = int(random.integers(len(content))), int(random.choice([1, 16, 700]))
    is_sure = is_checked and start >= header and start + count < len(content)
    return Damaged(content[:start] + content[start + count :], f"{count} bytes lost at {start}", is_sure)


def _repeated(content: bytes, header: int, is_checked: bool, random: np.random.Generator) -> Damaged:
    start, count = int(random.integers(len(content))), int(random.choice([1, 16, 700]))
    part = content[start : start + count]
    return Damaged(
        content[:start] + part + content[start:],
        f"{len(part)} bytes repeated at {start}",
        is_checked and start >= header,
    )


def _zeroed(content: bytes, header: int, is_checked: bool, random: np.random.Generator) -> Damaged:
    start, count = int(random.integers(len(content))), int(random.choice([4, 512, 4096]))
    part = bytes(min(count, len(content) - start))
    changed = content[:start] + part + content[start + len(part) :]
    return Damaged(changed, f"{len(part)} bytes at {start} set to 0", is_checked and start >= header)


def _header_value(content: bytes, header: int, _is_checked: bool, random: np.random.Generator) -> Damaged:
    """Replace a number of the header; sizes and positions that no image has must be refused."""
    numbers = list(re.finditer(rb"-?\d+(\.\d+)?(e[+-]?\d+)?", content[:header]))
    found = numbers[int(random.integers(len(numbers)))]
    new = NUMBERS[int(random.integers(len(NUMBERS)))]
    line = content[content.rfind(b"\n", 0, found.start()) + 1 : found.end()].decode("latin-1")
    changed = content[: found.start()] + new + content[found.end() :]
    needed = re.match(r"(space directions|space origin|sizes|DimSize|Offset|TransformMatrix|ElementSpacing)\b", line)
    is_sure = bool(needed) and new in (b"nan", b"inf", b"-inf", b"1e30", b"1e400", b"99999999999", b"2147483648")
    return Damaged(changed, f"{line!r} became {new!r}", is_sure)


def _nifti_value(content: bytes, _header: int, _is_checked: bool, random: np.random.Generator) -> Damaged:
    name = list(_NIFTI)[int(random.integers(len(_NIFTI)))]
    where, form, values = _NIFTI[name]
    value = values[int(random.integers(len(values)))]
    changed = bytearray(content)
    struct.pack_into(form, changed, where, value)
    is_sure = name.startswith("srow") or name in ("datatype", "magic") or (name == "vox_offset" and value > 1e6)
    return Damaged(bytes(changed), f"{name} became {value}", is_sure or name in ("dim[1]", "dim[2]", "dim[3]"))


def _text_value(content: bytes, _header: int, _is_checked: bool, random: np.random.Generator) -> Damaged:
    """Replace one value or word of a JSON or CSV text."""
    odd = (
        b"NaN", b"Infinity", b"-1e999", b"null", b"true", b'""', b"[]", b"{}", b"1" * 5000, b"[" * 3000 + b"]" * 3000,
        b'"' + b"x" * 300 + b'"', b'"\\ud800"', b"\xff\xfe", b"'", b'"', b"0", b"-1", b"1,2", b'"=1+1"', b"\0",
    )  # fmt: skip
    found = list(re.finditer(rb'-?\d+(\.\d+)?|"[^"\n]*"|[A-Za-z_]+', content))
    part = found[int(random.integers(len(found)))]
    new = odd[int(random.integers(len(odd)))]
    return Damaged(
        content[: part.start()] + new + content[part.end() :], f"{part.group()[:30]!r} became {new[:30]!r}", False
    )
