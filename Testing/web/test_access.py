"""The guards of the server: who may connect, what is handed to the browser, and what the page may fetch."""

from __future__ import annotations

import asyncio
import stat
import threading
import time
import webbrowser
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from oncotrack.errors import InputError
from oncotrack.web.access import Access, check_consent
from oncotrack.web.private_files import BrowserLauncher
from oncotrack.web.routes import Routes


async def page(_request) -> web.Response:
    return web.Response(text="page")


def answer(access: Access, host: str, path: str = "/index.html", **headers: str) -> web.StreamResponse:
    """Return the answer to a request of the browser that has access."""
    port = host.rpartition(":")[2] if ":" in host else "80"
    cookie = {"Host": host, "Cookie": f"oncotrack-{port}={access._session}", **headers}

    def run() -> web.StreamResponse:  # the browser of other tests runs its own loop in this thread
        return asyncio.run(access.guard(make_mocked_request("GET", path, headers=cookie), page))

    with ThreadPoolExecutor() as pool:
        return pool.submit(run).result()


def test_the_page_may_open_web_sockets_of_its_own_server_only():
    policy = answer(Access("127.0.0.1"), "127.0.0.1:8080").headers["Content-Security-Policy"]
    (sources,) = (part.split()[1:] for part in policy.split("; ") if part.startswith("connect-src"))
    assert sources == ["'self'", "ws://127.0.0.1:8080", "wss://127.0.0.1:8080"]


@pytest.mark.parametrize(
    ("access", "good", "bad"),
    [
        (Access("127.0.0.1"), ["localhost:80", "127.0.0.1:80"], ["evil.example:80", "192.0.2.1:80", "", "[:80"]),
        (Access("0.0.0.0"), ["192.0.2.1:80", "localhost:80"], ["evil.example:80", ""]),
        (
            Access("127.0.0.1", "https://viewer.example.org"),
            ["viewer.example.org", "localhost:80"],
            ["example.org", "192.0.2.1:80"],
        ),
    ],
)
def test_only_names_of_this_server_are_answered(access, good, bad):
    assert [answer(access, host).status for host in good] == [200] * len(good)
    assert [answer(access, host).status for host in bad] == [403] * len(bad)


def test_behind_a_reverse_proxy_the_printed_address_is_the_public_one_and_the_cookie_needs_encryption():
    access = Access("127.0.0.1", "https://viewer.example.org")
    address = access.address(8080)
    assert address == f"https://viewer.example.org/?token={access.token}"
    request = make_mocked_request(
        "GET", address.removeprefix("https://viewer.example.org"), headers={"Host": "viewer.example.org"}
    )
    with ThreadPoolExecutor() as pool, pytest.raises(web.HTTPSeeOther) as caught:
        pool.submit(asyncio.run, access.guard(request, page)).result()
    (cookie,) = caught.value.cookies.values()
    assert cookie["secure"] and cookie["httponly"]


def test_other_computers_need_consent():
    with pytest.raises(InputError, match="not encrypted") as caught:
        check_consent("0.0.0.0", "", False)
    assert caught.value.parameter == "allow_other_computers"
    check_consent("0.0.0.0", "", True)
    check_consent("127.0.0.1", "", False)
    with pytest.raises(InputError, match="Write it like"):
        check_consent("127.0.0.1", "viewer.example.org", False)


def test_a_result_is_served_from_the_servers_own_list_and_not_from_the_state_of_the_page(tmp_path):
    secret, result = tmp_path / "secret.txt", tmp_path / "out" / "findings.json"
    result.parent.mkdir()
    for path in (secret, result):
        path.write_text("content")
    names = ["findings.json", "../secret.txt", str(secret), "secret.txt"]
    viewer = SimpleNamespace(
        state=SimpleNamespace(saved=names), results=SimpleNamespace(saved={"findings.json": result})
    )
    routes = Routes()
    routes.open(viewer, None, None)

    def fetch(name: str) -> Path:
        request = make_mocked_request("GET", "/saved/x", match_info={"name": name})
        with ThreadPoolExecutor() as pool:
            return pool.submit(asyncio.run, routes._saved(request)).result()._path

    assert fetch("findings.json") == result
    for name in names[1:]:
        with pytest.raises(web.HTTPNotFound):
            fetch(name)


def test_the_token_is_handed_over_in_a_private_file_and_a_slow_browser_stops_nothing(tmp_path, monkeypatch):
    opened, may_end = [], threading.Event()
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or may_end.wait(20))
    launcher = BrowserLauncher(tmp_path / "out")
    started = time.monotonic()
    launcher.open("http://127.0.0.1:8080/?token=secret&x=1")
    assert time.monotonic() - started < 5
    while not opened:
        time.sleep(0.01)
    assert "secret" not in opened[0] and opened[0] == launcher.path.as_uri()
    assert stat.S_IMODE(launcher.path.stat().st_mode) == 0o600
    assert "url=http://127.0.0.1:8080/?token=secret&amp;x=1" in launcher.path.read_text()
    launcher.close()
    may_end.set()
    assert not (tmp_path / "out").exists()
