"""Access control: one browser, and the folders from which the page may open files."""

from __future__ import annotations

import hmac
import html
import ipaddress
import secrets
import socket
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from oncotrack.errors import InputError

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'{sockets}; "
    "object-src 'none'; base-uri 'self'; frame-ancestors 'none'; form-action 'self'"
)
_HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
_DAY_S = 24 * 3600


class Access:
    """Access of one browser: the token in the address works once and is exchanged for a cookie.

    Parameters
    ----------
    host : str
        The address the server binds to.
    public_address : str
        The address by which other computers reach it through a reverse proxy, "https://viewer.example.org"; "" for none.
    """

    def __init__(self, host: str, public_address: str = "") -> None:
        self.token = secrets.token_urlsafe(24)
        self._session = secrets.token_urlsafe(32)
        self._is_token_used = False
        self._host = host
        self._public_address = public_address
        public = urlsplit(public_address)
        self._public_name, self._is_encrypted = (public.hostname or "").lower(), public.scheme == "https"

    @property
    def is_loopback(self) -> bool:
        """Whether the server listens on this computer's own address only."""
        return self._host in LOOPBACK

    def address(self, port: int) -> str:
        """Return the address to open once, with the token."""
        shown = f"[{self._host}]" if ":" in self._host else self._host
        base = self._public_address.rstrip("/") or f"http://{shown}:{port}"
        return f"{base}/?token={self.token}"

    @web.middleware
    async def guard(self, request: web.Request, handler) -> web.StreamResponse:
        """Answer 403 with a message to every other browser, for the page, files and the web socket."""
        name, port = _name_and_port(request.host)
        if not self._is_own_name(name):
            return _refusal("This address is not the one OncoTrack printed. Open the printed address.")
        if (origin := request.headers.get("Origin")) and urlsplit(origin).netloc != request.host:
            return _refusal("The request came from another web page, so it was refused.")
        cookie = f"oncotrack-{port or 80}"
        if _same(request.cookies.get(cookie, ""), self._session):
            if request.path == "/" and "token" in request.query:
                raise web.HTTPSeeOther("/index.html")
            try:
                response = await handler(request)
            except (ConnectionResetError, KeyError) as error:
                if not _page_has_left(error):
                    raise
                return web.Response(status=499)
            if not response.prepared:
                response.headers.update(_headers(name, port))
            return response
        if request.path == "/" and _same(request.query.get("token", ""), self.token) and not self._is_token_used:
            self._is_token_used = True
            answer = web.HTTPSeeOther("/index.html")
            answer.set_cookie(
                cookie,
                self._session,
                max_age=_DAY_S,
                httponly=True,
                samesite="Strict",
                path="/",
                secure=self._is_encrypted and name == self._public_name,
            )
            raise answer
        return _refusal(
            "This browser has no access: the token in the address is missing, wrong or already used. "
            "Open the address that OncoTrack printed, in one browser; start it again for a new address."
        )

    def _is_own_name(self, name: str) -> bool:
        """Return whether a name is one of this server's: others could be a page that had its name point here later."""
        if name in LOOPBACK or name == self._public_name:
            return bool(name)
        return self._host not in LOOPBACK and (name == self._host.lower() or name in _own_names() or _is_number(name))


class Folders:
    """The folders that the viewer was started with; the page opens no other files from disk.

    Parameters
    ----------
    paths : iterable of Path
        Folders, or single files.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self.paths = tuple(dict.fromkeys(Path(allowed).expanduser().resolve() for allowed in paths))

    def check(self, typed: str) -> Path:
        """Return the absolute path of what a reader typed; a relative path starts at the first folder that contains it.

        Raises
        ------
        InputError
            It is outside every folder, after following links, or does not exist.
        """
        if not typed.strip():
            raise InputError("Type the path of a DICOM folder or of a file.")
        path = Path(typed.strip()).expanduser()
        for allowed in self.paths:
            candidate = (allowed / path).resolve()
            if not candidate.is_relative_to(allowed):
                continue
            if candidate.exists():
                return candidate
        shown = ", ".join(map(str, self.paths)) or "none was given"
        if any((allowed / path).resolve().is_relative_to(allowed) for allowed in self.paths):
            raise InputError(f"{typed} does not exist. Check the path.")
        raise InputError(
            f"{typed} lies outside the folders OncoTrack was started with ({shown}), so it was not opened. "
            "Upload the file, or start OncoTrack with its folder."
        )


def _page_has_left(error: Exception) -> bool:
    """Return whether an error came from a page that was closed too early; wslink then looks up a missing connection."""
    return any(isinstance(each, ConnectionResetError) for each in (error, error.__context__))


def check_consent(host: str, public_address: str, is_allowed: bool) -> None:
    """Check that other computers can connect only if that was asked for.

    Raises
    ------
    InputError
        The address is not this computer's own and was not allowed, or the public address is none.
    """
    if host not in LOOPBACK and not is_allowed:
        raise InputError(
            f"With the address {host} other computers could connect, and the connection is not encrypted: anyone who sees the "
            "printed address or can read the network sees the patient's images. Leave out the address, or allow other computers.",
            parameter="allow_other_computers",
        )
    if public_address:
        parts = urlsplit(public_address)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
            raise InputError(
                f"{public_address} is no address of a server. Write it like https://viewer.example.org, without a path."
            )


def _name_and_port(host: str) -> tuple[str, int | None]:
    """Return the name and the port of a Host header; ("", None) when it is not one."""
    try:
        parts = urlsplit(f"//{host}")
        return (parts.hostname or "").lower(), parts.port
    except ValueError:
        return "", None


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


@cache
def _own_names() -> frozenset[str]:
    return frozenset({socket.gethostname().lower(), socket.getfqdn().lower()})


def _headers(name: str, port: int | None) -> dict[str, str]:
    """Return the headers of every answer; the page may open web sockets of this server only."""
    shown = f"[{name}]" if ":" in name else name
    place = shown + (f":{port}" if port else "")
    sockets = f" ws://{place} wss://{place}" if name else ""
    return {**_HEADERS, "Content-Security-Policy": _POLICY.format(sockets=sockets)}


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def _refusal(message: str) -> web.Response:
    page = (
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>OncoTrack</title>"
        "<body style='font:18px sans-serif;max-width:40em;margin:4em auto;padding:0 1em'>"
        f"<h1>OncoTrack</h1><p>{html.escape(message)}</p></body></html>"
    )
    return web.Response(text=page, status=403, content_type="text/html", headers=_headers("", None))
