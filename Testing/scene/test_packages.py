"""Installation of packages: it asks, and says what works without them."""

from __future__ import annotations

import subprocess

import pytest

from oncotrack.errors import MissingPackageError
from oncotrack.followup import DEFAULT_METHOD
from oncotrack.scene.files import packages

ABSENT = "no-such-package-of-oncotrack>=1"


@pytest.fixture
def lacking(monkeypatch):
    """Something that is required is missing; returns the requirements that the installers got."""
    monkeypatch.setattr(packages, "required", lambda: ["numpy>=1.26", ABSENT])
    return []


def test_nothing_is_asked_when_everything_is_there():
    packages.install(pytest.fail, pytest.fail)
    assert packages.follow_up_message() == ""
    assert next(iter(packages.trackers())) == DEFAULT_METHOD


def test_only_what_is_missing_is_installed(lacking):
    with pytest.raises(MissingPackageError):
        packages.install(lacking.append, pytest.fail)
    assert lacking == [[ABSENT]]
    assert "Install packages" in packages.follow_up_message()


def test_a_refusal_says_what_works(lacking):
    def refuse(_requirements):
        raise packages.InstallationRefused

    with pytest.raises(MissingPackageError, match="were not installed, so lesions cannot be followed"):
        packages.install(refuse, pytest.fail)


def test_no_network_says_what_to_do(lacking):
    def fail(_requirements):
        raise subprocess.CalledProcessError(1, "pip")

    with pytest.raises(MissingPackageError, match="Check the network"):
        packages.install(fail, pytest.fail)


def test_without_torch_registration_still_follows(monkeypatch):
    monkeypatch.setattr(packages, "TORCH", ABSENT)

    def refuse(_requirements):
        raise packages.InstallationRefused

    with pytest.raises(MissingPackageError, match="methods affine and bspline"):
        packages.install(pytest.fail, refuse)
    assert list(packages.trackers()) == ["affine", "bspline"]
    assert "PyTorch" in packages.follow_up_message()
    assert not packages.lacks_required()
