"""Parts of the page that the browser draws on their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from trame.widgets import client, html
from trame_client.ui.core import AbstractLayout
from trame_server import Server


@contextmanager
def page_part(server: Server, name: str, **root: Any) -> Iterator[None]:
    """Return a context whose elements become a part of the page: a change of the state redraws only the parts that show it.

    In one piece, each movement of the mouse over a view would redraw the page with all of its panels.

    Parameters
    ----------
    server : Server
        The server of the page.
    name : str
        Unique on the page, of lower-case letters.
    **root
        Attributes of the `div` around the part.
    """
    layout = AbstractLayout(server, html.Div(trame_server=server, connect_parent=False, **root), template_name=name)
    with layout:
        yield
    client.ServerTemplate(name=name)
