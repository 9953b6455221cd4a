#!/usr/bin/env bash
# trame-client 4.1.4: an element of a page is turned into HTML once for every `with` block that surrounds it.
#
# The end of each block renders its element and all that is inside, and drops the text. An element that lies d blocks deep is
# therefore rendered d + 1 times while the page is composed (its own block included, and the layout's): a chain of n nested
# elements costs (n² + 3n) / 2 renderings where n would do, and the text is the same when only the layout renders.
#
# Output seen:
#   nested 10: 65 renderings
#   nested 40: 860 renderings
#   rendered by the layout alone, 40: 40 renderings, same text
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check "trame==4.0.0" "trame-client==4.1.4" "trame-server==4.1.0"
cd "$folder"
"$folder/env/bin/python" - <<'PYTHON'
from contextlib import ExitStack

from trame.app import get_server
from trame.widgets import html
from trame_client.ui.core import AbstractLayout
from trame_client.widgets import vue
from trame_client.widgets.core import HTML_CTX, AbstractElement

renderings = 0
render = vue.HtmlElement.render


def counted(element):
    global renderings
    renderings += 1
    return render(element)


vue.HtmlElement.render = counted


def page(depth):
    """Compose a page of nested elements, and return its text and how many renderings that took."""
    global renderings
    server = get_server(f"page {depth} {renderings}", client_type="vue3")
    before = renderings
    with AbstractLayout(server, html.Div(trame_server=server)) as layout, ExitStack() as blocks:
        for number in range(depth - 1):
            blocks.enter_context(html.Div(classes=f"level{number}"))
    return server.state[layout._template_name], renderings - before


seen = {}
for depth in (10, 40):
    text, seen[depth] = page(depth)
    print(f"nested {depth}: {seen[depth]} renderings")
AbstractElement.__exit__ = lambda element, *_error: HTML_CTX.exit(element)
lean, alone = page(40)
print(f"rendered by the layout alone, 40: {alone} renderings, {'same' if lean == text else 'other'} text")
raise SystemExit((seen[10], seen[40], alone, lean == text) != (65, 860, 40, True))
PYTHON
