"""The card that says what a finding is, the card of an absent lesion, and names that are given once."""

from __future__ import annotations

import numpy as np


def test_a_finding_is_described_in_its_card_and_each_change_is_undone(reader, server, pair):
    uid = reader.follow(pair, 0)["uid"]
    page, card = reader.page, reader.page.locator("[data-about-card='L 1']")
    assert (reader.state("about")["role"], reader.state("findings")[0]["about"]) == ("none", "")
    card.locator("[data-about='role']").click()
    page.get_by_role("option", name="non-target", exact=True).click()
    reader.until("s('about').role === 'non-target'")
    site = card.locator("[data-about='site'] input")
    assert "liver" in page.locator("datalist option").evaluate_all("all => all.map(each => each.value)")
    site.fill("liver")
    site.press("Enter")
    reader.until("s('about').site === 'liver'")
    comment = card.locator("[data-about='comment'] input")
    comment.fill("near the dome")
    comment.press("Tab")
    reader.until("s('about').comment === 'near the dome'")
    name = card.locator("[data-about='reader'] input")
    name.fill("Dr Example")
    name.press("Enter")
    reader.until("s('reader_name') === 'Dr Example'")
    card.locator("[data-about='side']").click()
    page.get_by_role("option", name="right", exact=True).click()
    reader.until("s('about').side === 'right' && s('about').reader === 'Dr Example'")
    assert page.locator("[data-described='L 1']").text_content() == "non-target, right liver"
    kept = server.autosaved["findings"][0]
    assert (kept["role"], kept["side"], kept["site"], kept["comment"]) == (
        "non-target",
        "right",
        "liver",
        "near the dome",
    )
    for words in ("", "comment", "site"):
        reader.command("undo")
        reader.until(f"s('about').{words or 'side'} === ''")
    reader.command("undo")
    reader.until("s('about').role === 'none' && s('findings').length === 1")
    assert reader.state("findings")[0]["uid"] == uid
    page.evaluate("trame.trigger('oncotrack.command', ['name_reader', ''])")
    reader.until("s('reader_name') === ''")


def test_an_absent_lesion_says_so_and_shows_no_figures_of_a_match(reader, pair):
    reader.follow(pair, 0)
    card = reader.page.locator("[data-match='L 1']")
    assert "Reverse check: " in card.inner_text() and "(good below 5)" in card.inner_text()
    reader.page.keyboard.press("o")
    reader.until("s('match').state_text === 'Absent (reader)'")
    text = card.inner_text()
    assert "Former position of L 1" in text and "Absent (reader)" in text
    assert not any(word in text for word in ("Match of", "Reverse", "score", "Alternatives"))


def test_a_lesion_in_view_is_selected_without_panning(reader, pair):
    def middle(view: str) -> list[float]:
        return np.linalg.inv(np.reshape(reader.state("views")[view]["ras_to_xy"], (4, 4)))[:3, 3].round(2).tolist()

    reader.follow(pair, 0)
    reader.follow(pair, 1)
    reader.rest()
    before = middle("BaselineAxial")
    reader.page.locator("[data-finding='L 1']").click()
    reader.until("s('findings')[0].is_current")
    reader.rest()
    after = middle("BaselineAxial")
    assert after[:2] == before[:2] and after[2] != before[2]


def test_a_name_that_was_freed_is_not_given_again(reader, pair):
    reader.follow(pair, 0)
    reader.page.evaluate(
        "uid => trame.trigger('oncotrack.command', ['rename', uid, 'Liver 1'])", reader.state("findings")[0]["uid"]
    )
    reader.until("s('findings')[0].label === 'Liver 1'")
    assert reader.follow(pair, 1)["label"] == "L 2"
