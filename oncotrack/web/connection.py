"""What the page shows when its connection to the server is lost; `page/connection.js` connects it again."""

LOST = (
    '<div class="connection-lost" role="alert" data-connection="lost"><h1>The connection to OncoTrack is lost</h1>'
    '<p data-connection-text="yes">Your findings are saved on the computer where OncoTrack runs. This page tries to '
    "connect again every two seconds.</p></div>"
)
"""HTML that replaces the page."""
