"""Installation of packages: the reader is asked, and learns what works without them."""

from __future__ import annotations

import subprocess

import pytest

from oncotrack.errors import MissingPackageError
from oncotrack.followup import DEFAULT_METHOD
from oncotrack.scene.files import packages

ABSENT = "no-such-package-of-oncotrack>=1"


@pytest.fixture
def lacking(monkeypatch):
    """Simulate a missing required package, and return the requirements that the installers received."""
    monkeypatch.setattr(packages, "required", lambda: ["numpy>=1.26", ABSENT])
    return []


def test_the_reader_is_not_asked_when_everything_is_installed():
    packages.install(packages.FOLLOW_UP, pytest.fail, pytest.fail)
    assert packages.missing_message(packages.FOLLOW_UP) == ""
    assert next(iter(packages.trackers())) == DEFAULT_METHOD


def test_only_what_is_missing_is_installed(lacking):
    with pytest.raises(MissingPackageError):
        packages.install(packages.FOLLOW_UP, lacking.append, pytest.fail)
    assert lacking == [[ABSENT]]
    assert "Install packages" in packages.missing_message(packages.FOLLOW_UP)


def test_after_a_refusal_the_message_names_what_works(lacking):
    def refuse(_requirements):
        raise packages.InstallationRefused

    for tool, words in (
        (packages.FOLLOW_UP, "lesions cannot be followed"),
        (packages.DETECTION, "lymph nodes cannot be detected"),
        (packages.MASKS, "lesions cannot be measured"),
    ):
        with pytest.raises(MissingPackageError, match=f"were not installed, so {words}"):
            packages.install(tool, refuse, pytest.fail)
        assert words in packages.missing_message(tool)


def test_without_network_the_message_says_what_to_do(lacking):
    def fail(_requirements):
        raise subprocess.CalledProcessError(1, "pip")

    with pytest.raises(MissingPackageError, match="Check the network"):
        packages.install(packages.FOLLOW_UP, fail, pytest.fail)


def test_without_torch_lesions_can_be_followed_by_registration(monkeypatch):
    monkeypatch.setattr(packages, "TORCH", ABSENT)

    def refuse(_requirements):
        raise packages.InstallationRefused

    with pytest.raises(MissingPackageError, match="methods affine and bspline"):
        packages.install(packages.FOLLOW_UP, pytest.fail, refuse)
    assert list(packages.trackers()) == ["affine", "bspline"]
    assert "PyTorch" in packages.missing_message(packages.FOLLOW_UP)
    with pytest.raises(MissingPackageError, match="added and edited by hand"):
        packages.install(packages.DETECTION, pytest.fail, refuse)
    packages.install(packages.MASKS, pytest.fail, pytest.fail)
    assert packages.missing_message(packages.MASKS) == ""
    assert not packages.lacks_required()
