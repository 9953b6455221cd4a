"""Landmarks of the real lung pair of elastix, followed by real mouse clicks."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from oncotrack.images.files import load


@pytest.mark.real
def test_landmarks_of_the_lung_are_followed_by_click(start, browser, make_reader, shared_data, tmp_path):
    folder = shared_data / "elastix_lung_pair"
    scans = [folder / f"3DCT_lung_{time}.mha" for time in ("baseline", "followup")]
    indices = [np.loadtxt(scan.with_suffix(".txt"), skiprows=2) for scan in scans]
    places, truth = (load(scan).geometry.to_ras(each) for scan, each in zip(scans, indices, strict=True))
    server = start(scans, tmp_path / "out")
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    reader = make_reader(context.new_page())
    reader.open(server.url)
    pair = SimpleNamespace(lesions=places)
    errors = [math.dist(reader.follow(pair, number)["followup"], truth[number]) for number in (0, 1, 2)]
    assert np.median(errors) < 5, errors
    context.close()
    server.stop()
