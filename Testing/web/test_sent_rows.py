"""Of a long list only the rows that have changed are sent, and every page shows all of it."""

from __future__ import annotations

import json

import pytest
from trame_server.state import State

from oncotrack.web.sent_rows import SentRows


def put_together(rows: list[dict], changed: list[dict]) -> list[dict]:
    now = {row["uid"]: row for row in changed}
    return [now.get(row["uid"], row) for row in rows]


class Page:
    """What a page receives, put together as its script does."""

    def __init__(self) -> None:
        self.sent: list[dict] = []
        self.state = State(commit_fn=self._receive, ready=True)
        self.rows: list[dict] = []

    def _receive(self, values: dict) -> None:
        self.sent.append(dict(values))
        self.rows = put_together(values.get("list", self.rows), values.get("list_changed", []))

    @property
    def reloaded(self) -> list[dict]:
        """The rows of a page that is loaded now."""
        values = self.state.to_dict()
        return put_together(values["list"], values["list_changed"])


@pytest.fixture
def page() -> Page:
    return Page()


def rows_of(*states: str) -> list[dict]:
    return [{"uid": str(number), "state": state} for number, state in enumerate(states)]


def test_an_edit_sends_its_row_and_every_page_has_the_whole_list(page):
    sent = SentRows(page.state, "list")

    def show(rows: list[dict]) -> dict:
        page.sent.clear()
        with page.state:
            sent.show(rows)
        assert page.rows == page.reloaded == rows
        return page.sent[-1] if page.sent else {}

    many = ["new"] * 200
    show(rows_of(*many))
    assert show(rows_of("accepted", *many[1:])) == {"list_changed": [{"uid": "0", "state": "accepted"}]}
    assert len(show(rows_of("accepted", "accepted", *many[2:]))["list_changed"]) == 2
    show(rows_of(*many))  # undone
    assert show(rows_of(*many)) == {}
    show(rows_of(*many)[:-1])  # deleted
    show(rows_of("accepted", *many[:-2]))
    show(rows_of(*many)[::-1])  # in another order
    show(rows_of(*["rejected"] * 200)[::-1])  # too many for rows alone
    show(rows_of(*many)[::-1])
    show([])


def test_changes_of_one_action_that_were_not_sent_in_between_are_not_lost(page):
    sent = SentRows(page.state, "list")
    with page.state:
        sent.show(rows_of("new", "new"))
        sent.show(rows_of("accepted", "new"))
        sent.show(rows_of("accepted", "rejected"))
    assert page.rows == page.reloaded == rows_of("accepted", "rejected")


def test_in_a_long_list_a_decision_changes_one_row_also_after_a_reload(reader, server, pair):
    reader.follow(pair, 0)
    document = server.autosaved
    (first,) = document["findings"]
    document["findings"] = [first | {"uid": f"2.25.{n}", "label": f"L {n}"} for n in range(1, 121)]
    reader.open_findings(json.dumps(document))
    reader.until("s('findings').length === 120 && !s('job').text")
    reader.page.locator("[data-finding='L 60']").click()
    reader.until("s('findings')[59].is_current")
    reader.page.keyboard.press("a")
    reader.until("s('findings')[59].state === 'accepted'")
    assert len(reader.state("findings_changed")) < 5
    assert "Accepted" in reader.page.locator("[data-finding='L 60']").inner_text()
    shown = reader.state("findings")
    reader.page.reload()
    reader.until("s('findings')[59]?.state === 'accepted' && s('has_registration')")
    assert reader.state("findings") == shown
    assert "Accepted" in reader.page.locator("[data-finding='L 60']").text_content()
