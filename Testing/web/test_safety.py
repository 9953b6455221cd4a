"""Access control, and the addresses that the page uses."""

from __future__ import annotations

import asyncio
import socket
import stat
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp.test_utils import make_mocked_request

from oncotrack.errors import InputError
from oncotrack.scene.commands import COMMANDS
from oncotrack.web.access import Access


def answer(url: str, **headers: str) -> tuple[int, str]:
    """Return status and text of the answer to a request without a cookie."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize(
    "path", ["", "?token=wrong", "index.html", "ws", "saved/findings.json", "__oncotrack/oncotrack.js", "upload"]
)
def test_every_path_is_refused_without_the_token(server, context, path):
    status, text = answer(server.url.split("?")[0] + path)
    assert status == 403 and "This browser has no access" in text


def test_the_token_works_once(server, context):
    assert answer(server.url)[0] == 403


def test_a_web_socket_without_the_cookie_is_refused(server, context):
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname, parts.port)) as line:
        line.sendall(
            f"GET /ws HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        assert b"403" in line.recv(100)


def test_another_site_and_another_name_are_refused(server, context):
    url = server.url.split("?")[0]
    assert "another web page" in answer(url, Origin="http://evil.example")[1]
    assert "not the one OncoTrack printed" in answer(url, Host="evil.example")[1]


def test_it_listens_on_the_loopback_only(server):
    port = urlsplit(server.url).port
    with Path("/proc/net/tcp").open() as table:
        listening = [line.split()[1] for line in table if line.split()[3] == "0A"]
    assert [place for place in listening if place.endswith(f":{port:04X}")] == [f"0100007F:{port:04X}"]


def test_what_the_viewer_writes_is_for_this_user_only(reader, server, pair):
    reader.follow(pair, 0)
    reader.page.evaluate("trame.trigger('oncotrack.command', ['save_findings'])")
    reader.until("s('saved').includes('findings.csv')")
    written = [server.out, *server.out.rglob("*")]
    assert {"findings.json", "findings.csv"} <= {path.name for path in written}
    assert {path.name: oct(path.stat().st_mode) for path in written if stat.S_IMODE(path.stat().st_mode) & 0o077} == {}


def test_the_page_fetches_nothing_from_elsewhere(reader, server, pair):
    reader.follow(pair, 0)
    for title in ("View", "Files", "Findings"):
        reader.tab(title)
    hosts = {urlsplit(url).netloc for url in reader.requests if not url.startswith(("data:", "blob:"))}
    assert hosts == {urlsplit(server.url).netloc}


@pytest.mark.parametrize("command", [["no_such_command"], ["rename"], ["undo", 1, 2], [["undo"]], [None]])
def test_a_command_that_is_not_known_or_lacks_arguments_is_refused(reader, server, command):
    reader.page.evaluate("command => { trame.trigger('oncotrack.command', command); }", command)
    reader.until("s('message').text.startsWith('The page sent a command')")
    reader.page.evaluate(
        "trame.state.set('message', {text: '', kind: 'info', number: trame.state.get('message').number})"
    )
    assert "Traceback" not in server.log


def test_every_key_is_named_in_a_tooltip(reader):
    bar = reader.page.locator("[data-command]").evaluate_all("all => all.map(each => each.dataset.command)")
    table = {command.name: command for command in COMMANDS}
    assert {"accept", "reject", "mark_absent", "swap", "undo", "link_views", "save_findings"} <= set(bar)
    for name in bar:
        command = table[name.removeprefix("nodes.").removeprefix("masks.")]
        tip = reader.page.locator(f"[data-command='{name}']").get_attribute("title")
        is_listed = command.name in ("undo", "redo")  # they say what they undo
        assert (is_listed or tip == command.tooltip) and (not command.key or f"({command.key})" in tip)


def test_a_key_has_the_same_meaning_on_every_tab_and_as_on_the_desktop(reader):
    desktop = {command.browser_key: command.name for command in COMMANDS if command.key}
    for title in ("Nodes", "Masks", "View", "Files", "Findings"):
        reader.tab(title)
        reader.until(f"s('tab') === '{title.lower()}'")
        for key, name in reader.state("keys").items():
            plain = name.removeprefix("nodes.").removeprefix("masks.")
            if key == "Delete":
                assert plain in ("remove_everywhere", "remove_from_scan")
            elif not key.isdigit() and key != "Ctrl+Shift+z":
                assert desktop[key] == plain, f"{key} on {title}"


def test_a_taken_port_gets_a_message(server):
    from oncotrack.web.server import _check_address

    with pytest.raises(InputError, match="taken"):
        _check_address("127.0.0.1", urlsplit(server.url).port)


def test_a_page_closed_while_it_connects_is_no_error_but_a_defect_of_the_server_is():
    access = Access("127.0.0.1")
    cookie = {"Host": "127.0.0.1:80", "Cookie": f"oncotrack-80={access._session}"}
    request = make_mocked_request("GET", "/ws", headers=cookie)

    async def leaving(_request):
        try:
            raise ConnectionResetError("Cannot write to closing transport")
        finally:
            {}["a connection that was never made"]

    async def faulty(_request):
        return {}["nothing"]

    with ThreadPoolExecutor() as pool:  # the browser's own loop runs in this thread
        assert pool.submit(asyncio.run, access.guard(request, leaving)).result().status == 499
        with pytest.raises(KeyError, match="nothing"):
            pool.submit(asyncio.run, access.guard(request, faulty)).result()
