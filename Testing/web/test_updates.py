"""The page is brought up to date once at the end of an action, also of one that fails."""

import pytest
from undo_stack import Signal

from oncotrack.web.updates import Updates


class Panel:
    """Counts its updates; `then` is asked for during each."""

    changed = Signal()

    def __init__(self, updates: Updates, then=None) -> None:
        self.updates, self.then, self.count = updates, then, 0
        updates.on(self.changed, self.refresh)

    def refresh(self) -> None:
        self.count += 1
        if self.then is not None:
            self.updates.ask(self.then)


def test_outside_an_action_each_change_is_shown_at_once():
    panel = Panel(Updates())
    panel.changed.emit()
    panel.changed.emit()
    assert panel.count == 2


def test_an_action_with_many_changes_is_shown_once_at_its_end_with_what_that_asks_for():
    updates = Updates()
    commands = Panel(updates)
    panels = [Panel(updates, commands.refresh) for _ in range(3)]
    with updates.gathered():
        with updates.gathered():
            for panel in panels * 4:
                panel.changed.emit()
        assert commands.count == 0 and not any(panel.count for panel in panels), "the outer action goes on"
    assert [panel.count for panel in panels] == [1, 1, 1] and commands.count == 1


def test_an_action_that_fails_is_shown_too_and_so_are_later_ones():
    updates = Updates()
    panel = Panel(updates)
    with pytest.raises(ValueError, match="fails"), updates.gathered():
        panel.changed.emit()
        raise ValueError("fails")
    assert panel.count == 1

    def broken():
        raise RuntimeError("no page")

    with pytest.raises(RuntimeError, match="no page"), updates.gathered():
        updates.ask(broken)
        panel.changed.emit()
    panel.changed.emit()
    assert panel.count == 3, "an update that fails withholds no other one, and what comes later is shown at once"
