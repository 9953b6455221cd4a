"""The settings of the archives: one TOML file; passwords come from the environment or the keyring, never from the file."""

from __future__ import annotations

import os
import re
import ssl
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Interval  # a package of pydantic

from oncotrack.errors import InputError
from oncotrack.json_text import read_text
from oncotrack.settings import settings_file, toml

_EXAMPLE = """[clinic]
kind = "dicomweb"
url = "https://pacs.example.org/dicom-web"
user = "reader"      # the password is in ONCOTRACK_PACS_CLINIC_PASSWORD, or in the keyring

[ward]
kind = "dimse"
host = "10.0.0.5"
port = 104
called_ae = "WARD"
"""


@dataclass(frozen=True, kw_only=True)
class ArchiveSettings:
    """How an archive is reached.

    Attributes
    ----------
    kind : str
        "dicomweb" or "dimse".
    url : str
        DICOMweb: root of its services.
    user : str
        DICOMweb: user name; "" for a token or none.
    verify : bool or str
        Whether the certificate of the archive is checked, or a file of certificates that it is checked against.
    host, port : str, int
        DIMSE: address.
    called_ae, own_ae : str
        DIMSE: application entity titles of the archive and of this program.
    retrieve : str
        DIMSE: "get", or "move" for archives that can only send to a known address.
    own_port : int
        DIMSE: port on which images arrive with "move".
    tls : bool
        DIMSE: use an encrypted connection.
    timeout_s : float
        Longest wait for an answer.
    """

    kind: Literal["dicomweb", "dimse"]
    url: str = ""
    user: str = ""
    verify: bool | str = True
    host: str = ""
    port: Annotated[int, Interval(ge=1, le=65535)] = 104
    called_ae: str = "ANY-SCP"
    own_ae: str = "ONCOTRACK"
    retrieve: Literal["get", "move"] = "get"
    own_port: Annotated[int, Interval(ge=0, le=65535)] = 11112
    tls: bool = False
    timeout_s: Annotated[float, Interval(ge=0.1, le=3600)] = 30.0


def archives_file() -> Path:
    """Return where the settings are kept: ``archives.toml`` in the folder of the reader's settings."""
    return settings_file().with_name("archives.toml")


def read_archives(path: str | Path | None = None) -> dict[str, ArchiveSettings]:
    """Return the archives of the settings file, by name.

    Parameters
    ----------
    path : path, optional
        Another file than `archives_file`.

    Raises
    ------
    InputError
        The file is missing or no TOML, or a setting is unknown or not valid.
    """
    from pydantic import ValidationError

    path = Path(path) if path else archives_file()
    if not path.exists():
        raise InputError(f"There are no archives yet: write {path}, for example\n{_EXAMPLE}")
    try:
        entries = toml().loads(read_text(path, "cannot be read. Correct it; it is a TOML file."))
    except ValueError as error:
        raise InputError(f"{path} cannot be read ({error}). Correct it; it is a TOML file.") from error
    found = {}
    for name, entry in entries.items():
        try:
            if isinstance(entry, dict) and any("password" in key or "token" in key for key in entry):
                raise InputError(
                    f"{path}: {name} holds a password. Remove it, and set {secret_name(name, 'PASSWORD')} or use the keyring."
                )
            found[name] = _adapter().validate_python(entry)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join([name, *map(str, first["loc"])])
            raise InputError(f"{path}: the setting {where} is not valid: {first['msg']}.") from error
        needed = "url" if found[name].kind == "dicomweb" else "host"
        if not getattr(found[name], needed):
            raise InputError(f"{path}: the archive {name} needs {needed}.")
    if not found:
        raise InputError(f"{path} names no archive. Write, for example\n{_EXAMPLE}")
    return found


def choose(archives: dict[str, ArchiveSettings], name: str = "") -> tuple[str, ArchiveSettings]:
    """Return the archive of a name, or the only one.

    Parameters
    ----------
    archives : dict
        From `read_archives`.
    name : str
        Name of an archive; "" where there is only one.

    Raises
    ------
    InputError
        There is none of that name, or there are several and no name.
    """
    if name in archives:
        return name, archives[name]
    if not name and len(archives) == 1:
        return next(iter(archives.items()))
    wanted = f'There is no archive "{name}"' if name else "There are several archives"
    raise InputError(f"{wanted}; choose one of {', '.join(archives)}.", parameter="archive")


def secret_name(archive: str, what: str) -> str:
    """Return the name of an environment variable: ``ONCOTRACK_PACS_CLINIC_PASSWORD``.

    Parameters
    ----------
    archive : str
        Name of the archive.
    what : str
        "PASSWORD" or "TOKEN".
    """
    return f"ONCOTRACK_PACS_{re.sub(r'[^A-Z0-9]', '_', archive.upper())}_{what}"


def secret(archive: str, settings: ArchiveSettings, what: str) -> str:
    """Return a password or token from the environment, else from the keyring; "" where there is none.

    Parameters
    ----------
    archive : str
        Name of the archive.
    settings : ArchiveSettings
        Its settings.
    what : str
        "PASSWORD", kept in the keyring under the user's name, or "TOKEN", kept under "token".
    """
    found = os.environ.get(secret_name(archive, what), "")
    if found or (what == "PASSWORD" and not settings.user):
        return found
    try:
        import keyring  # pyright: ignore[reportMissingImports]
        import keyring.errors  # pyright: ignore[reportMissingImports]
    except ImportError:
        return ""
    try:
        return keyring.get_password(f"oncotrack {archive}", settings.user if what == "PASSWORD" else "token") or ""
    except keyring.errors.KeyringError:
        return ""


def trust(name: str, settings: ArchiveSettings) -> ssl.SSLContext:
    """Return how certificates are checked: against those of this computer, a file, or, where the settings say so, not at all.

    Parameters
    ----------
    name : str
        Name of the archive.
    settings : ArchiveSettings
        Its settings.

    Raises
    ------
    InputError
        The file of certificates is missing or holds none.
    """
    verify = settings.verify
    try:
        context = ssl.create_default_context(cafile=verify if isinstance(verify, str) else None)
    except OSError as error:  # SSLError is one
        raise InputError(
            f"The file of certificates {verify} of the archive {name} cannot be used: {error.strerror or error}. Correct "
            "verify in the settings."
        ) from error
    if verify is False:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def unverified(where: str) -> str:
    """Return that an archive's certificate cannot be verified, in sentences.

    Parameters
    ----------
    where : str
        The archive with its address.
    """
    return (
        f"{where} has a certificate that cannot be verified, so nothing was sent. If it is the right archive, ask its "
        "administrator for the file of its certificates, and give that file as verify in the settings."
    )


@cache
def _adapter() -> Any:
    from pydantic import ConfigDict, TypeAdapter, with_config

    return TypeAdapter(with_config(ConfigDict(extra="forbid", allow_inf_nan=False))(ArchiveSettings))
