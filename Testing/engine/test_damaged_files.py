"""Damaged files and odd calls end with a sentence; `make break` tries thousands more."""

from breaking import corpus, damaged


def test_damaged_files_are_refused_or_read_as_before(tmp_path):
    outcome = corpus.run(seed=7, count=250, seconds=10, folder=tmp_path, has_scene=False)
    assert not outcome.failures, "\n".join(outcome.failures)
    assert outcome.counts["refused"] > 50
    assert outcome.counts["as before"] > 5


def test_a_reader_that_ignores_damage_would_be_found(tmp_path, monkeypatch):
    from breaking import valid_files

    monkeypatch.setattr(valid_files, "load", lambda path: _whatever())
    outcome = corpus.run(seed=7, count=30, seconds=10, folder=tmp_path, only="image.nii.gz", has_scene=False)
    assert not outcome.failures  # always the same result: as if nothing had happened
    answers = iter(range(1000))
    monkeypatch.setattr(valid_files, "load", lambda path: _whatever(next(answers)))
    outcome = corpus.run(seed=7, count=30, seconds=10, folder=tmp_path, only="image.nii.gz", has_scene=False)
    assert any("silently wrong" in line for line in outcome.failures)


def _whatever(value: int = 0):
    import numpy as np

    from oncotrack.images.geometry import Geometry
    from oncotrack.images.volume import Volume

    return Volume(np.full((2, 2, 2), value), Geometry((2, 2, 2)))


def test_odd_calls_of_the_commands_end_with_a_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    counts, failures = damaged.run(seed=7, count=30, seconds=120, folder=tmp_path / "files", has_scene=False)
    assert not failures, "\n".join(failures)
    assert counts["sentence"] > 5
