"""Missing packages are named by their requirement; the list that Slicer installs from can be read."""

from oncotrack.packages import TORCH, missing, required


def test_installed_packages_are_not_missing():
    assert missing(["numpy>=1.26", TORCH]) == []
    assert missing(required()) == []


def test_an_absent_package_and_an_old_one_are_missing():
    requirements = ["numpy>=1.26", "no-such-package-of-oncotrack>=1", "numpy>=999"]
    assert missing(requirements) == requirements[1:]
