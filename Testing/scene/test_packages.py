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
    packages.install(pytest.fail, pytest.fail)
    assert packages.follow_up_message() == ""
    assert next(iter(packages.trackers())) == DEFAULT_METHOD


def test_only_what_is_missing_is_installed(lacking):
    with pytest.raises(MissingPackageError):
        packages.install(lacking.append, pytest.fail)
    assert lacking == [[ABSENT]]
    assert "Install packages" in packages.follow_up_message()


def test_after_a_refusal_the_message_names_what_works(lacking):
    def refuse(_requirements):
        raise packages.InstallationRefused

    with pytest.raises(MissingPackageError, match="were not installed, so lesions cannot be followed"):
        packages.install(refuse, pytest.fail)


def test_without_network_the_message_says_what_to_do(lacking):
    def fail(_requirements):
        raise subprocess.CalledProcessError(1, "pip")

    with pytest.raises(MissingPackageError, match="Check the network"):
        packages.install(fail, pytest.fail)


def test_without_torch_lesions_can_be_followed_by_registration(monkeypatch):
    monkeypatch.setattr(packages, "TORCH", ABSENT)

    def refuse(_requirements):
        raise packages.InstallationRefused

    with pytest.raises(MissingPackageError, match="methods affine and bspline"):
        packages.install(pytest.fail, refuse)
    assert list(packages.trackers()) == ["affine", "bspline"]
    assert "PyTorch" in packages.follow_up_message()
    assert not packages.lacks_required()
