"""Alternatives are lettered like the columns of a spreadsheet."""

from itertools import product
from string import ascii_lowercase

from oncotrack.findings.alternative_letters import alternative_letter


def test_letters_continue_after_z_with_two_letters():
    expected = [*ascii_lowercase, *("".join(pair) for pair in product(ascii_lowercase, repeat=2)), "aaa"]
    assert [alternative_letter(index) for index in range(len(expected))] == expected
