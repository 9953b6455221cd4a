"""Algorithm 1 with a scripted network, and the conversion between tracks and findings."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from oncotrack.detection import track_findings
from oncotrack.detection.ct_slices import LNSlices
from oncotrack.detection.false_positive_filter import remove_false_positives
from oncotrack.detection.lntracker.config import COMPACT
from oncotrack.detection.lntracker.slice_data import Output
from oncotrack.detection.lntracker.tracking import Follower, Thresholds
from oncotrack.detection.tracks import Track, stack_boxes
from oncotrack.errors import InputError
from oncotrack.findings.finding import Provenance, Side
from oncotrack.findings.tracklet import SliceBox, Tracklet
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.networks.boxes import centre_size

SIZE = 100


@dataclass
class Seen:
    """A node in a scripted scan: box (pixels) and identity by slice; `score` of detection, `held` of tracking."""

    boxes: dict[int, tuple[float, float, float, float]]
    identity: int
    score: float = 0.9
    held: float = 0.9


class Scripted(torch.nn.Module):
    """Network that detects each node on its slices; a track query continues while its node is present.

    Embeddings are one-hot identities, so that `similarity` is sure; slice numbers are read from the image itself.
    """

    def __init__(self, *seen: Seen, **config) -> None:
        super().__init__()
        self.config = replace(COMPACT, **config)
        self.seen = seen
        self.anchor = torch.nn.Parameter(torch.zeros(1))

    def similarity(self, before, after):
        return 20 * (before @ after.transpose(-1, -2)) - 10

    def encode(self, images, stems=None):
        return images

    def decode(self, images, tracks=None):
        index = round(float(images[0, 4, 0, 0]) * 1000)
        here = [s for s in self.seen if index in s.boxes]
        rows = []
        for n in range(0 if tracks is None else tracks.embedding.shape[1]):
            identity = int(tracks.embedding[0, n].argmax())
            same = next((s for s in here if s.identity == identity), None)
            box = same.boxes[index] if same else (corner := tracks.boxes[0, n] * SIZE) is None or _corners(corner)
            rows.append((box, same.held if same else 0.01, identity))
        n_tracks = len(rows)
        rows += [(s.boxes[index], s.score, s.identity) for s in here] or [((0, 0, 1, 1), 0.0, 49)]
        boxes = torch.stack([centre_size(torch.tensor([row[0]], dtype=torch.float32))[0] / SIZE for row in rows])
        logits = torch.logit(torch.tensor([row[1] for row in rows]), eps=1e-6)
        queries = torch.stack([torch.eye(50)[row[2]] for row in rows])
        return Output((SIZE, SIZE), logits[None, None], boxes[None, None], queries[None], n_tracks,
                      torch.ones(1, n_tracks, dtype=torch.bool), None, logits[None], boxes[None])  # fmt: skip


def _corners(box):
    cx, cy, w, h = box.tolist()
    return cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2


def stack(index: int) -> np.ndarray:
    return np.full((9, SIZE, SIZE), index / 1000, np.float32)


def follow(network: Scripted, count: int, thresholds: Thresholds | None = None) -> list[Track]:
    follower = Follower(network, thresholds)
    for index in range(count):
        follower.process(index, stack(index))
    return sorted(follower.finish(), key=lambda track: (min(track.boxes), track.boxes[min(track.boxes)][0]))


def column(first: int, last: int, x: float = 20, y: float = 20, size: float = 10, drift: float = 0.0):
    return {n: (x + drift * n, y, x + drift * n + size, y + size) for n in range(first, last + 1)}


def test_nodes_start_are_followed_and_end():
    tracks = follow(Scripted(Seen(column(2, 6), 1), Seen(column(4, 9, x=60), 2)), 12)
    assert [sorted(track.boxes) for track in tracks] == [list(range(2, 7)), list(range(4, 10))]
    assert np.allclose(tracks[0].boxes[4], (20, 20, 30, 30), atol=1e-3)
    assert tracks[0].score == pytest.approx(0.9, abs=1e-4)


def test_a_nodes_score_is_the_mean_detection_score_of_its_three_best_slices():
    (track,) = follow(Scripted(Seen(column(0, 4), 1, score=0.6, held=0.95)), 5)
    assert list(track.scores.values()) == pytest.approx([0.6] * 5, abs=1e-4)

    class Doubtful(Scripted):
        """Network that continues a track where it detects nothing."""

        def decode(self, images, tracks=None):
            output = super().decode(images, tracks)
            output.logits[:, :, output.n_tracks :] = -9.0 if output.n_tracks else 1.0
            return output

    (track,) = follow(Doubtful(Seen(column(0, 4), 1)), 5)
    first = torch.tensor(1.0).sigmoid().item()
    assert list(track.scores.values()) == pytest.approx([first, 0, 0, 0, 0], abs=1e-3)
    assert track.score == pytest.approx(first / 3, abs=1e-3)
    assert Track({}, {3: 0.2, 4: 0.8, 5: 0.6, 6: 0.1}).score == pytest.approx(1.6 / 3)
    (track,) = follow(Doubtful(Seen(column(0, 4), 1, held=0.9), trackformer=True), 5)
    assert list(track.scores.values()) == pytest.approx([first, 0.9, 0.9, 0.9, 0.9], abs=1e-3)


def test_two_nodes_that_touch_stay_two():
    tracks = follow(Scripted(Seen(column(0, 5), 1), Seen(column(6, 9, x=22), 2)), 10)
    assert [sorted(track.boxes) for track in tracks] == [list(range(6)), list(range(6, 10))]
    below, above = ([(n, _one(track, n)) for n in sorted(track.boxes)] for track in tracks)
    assert len(stack_boxes([(n, [t]) for n, t in below + above])) == 1


def _one(track: Track, index: int) -> Track:
    return Track({index: track.boxes[index]}, {index: track.scores[index]})


def test_a_node_that_moves_is_followed_where_stacking_loses_it():
    moving = Seen(column(0, 5, drift=9.5), 1)
    assert len(follow(Scripted(moving), 6)) == 1
    found = [(n, [Track({n: np.array(box)}, {n: 0.9})]) for n, box in moving.boxes.items()]
    assert len(stack_boxes(found)) == 6


def test_low_scores_start_no_nodes_and_low_tracking_scores_end_them():
    assert follow(Scripted(Seen(column(0, 5), 1, score=0.29)), 6) == []
    lost = Seen(column(0, 5), 1, held=0.2)
    assert [len(track.boxes) for track in follow(Scripted(lost, similarity_loss=False), 6)] == [1] * 6
    assert len(follow(Scripted(lost, similarity_loss=False), 6, Thresholds(tracking=0.1))) == 1


def test_a_lost_node_continues_at_a_similar_overlapping_detection():
    lost = Seen(column(0, 5), 1, held=0.2)
    assert [sorted(track.boxes) for track in follow(Scripted(lost), 6)] == [list(range(6))]
    other = Seen(column(3, 5, x=21), 2, held=0.2)
    assert [sorted(track.boxes) for track in follow(Scripted(replace(lost, boxes=column(0, 2)), other), 6)] == [
        [0, 1, 2],
        [3, 4, 5],
    ]
    away = replace(lost, boxes=column(3, 5, x=40))
    assert [sorted(track.boxes) for track in follow(Scripted(replace(lost, boxes=column(0, 2)), away), 6)] == [
        [0, 1, 2],
        [3, 4, 5],
    ]


def test_a_query_that_drifts_to_another_node_ends():
    class Confused(Scripted):
        def decode(self, images, tracks=None):
            output = super().decode(images, tracks)
            if output.n_tracks:
                output.logits[-1, 0, 0], output.queries[0, 0] = 3.0, torch.eye(50)[2]
            return output

    network = Confused(Seen(column(0, 0), 1))
    assert [sorted(track.boxes) for track in follow(network, 3)] == [[0]]
    network = Confused(Seen(column(0, 0), 1), similarity_loss=False)
    assert [sorted(track.boxes) for track in follow(network, 3)] == [[0, 1, 2]]


def test_a_second_detection_of_a_followed_node_is_dropped():
    copies = Scripted(Seen(column(0, 4), 1), Seen(column(0, 4, x=21), 2), Seen(column(0, 4, x=26), 1))
    assert len(follow(copies, 5)) == 1


def test_tracking_alone_starts_no_new_nodes():
    follower = Follower(Scripted(Seen(column(0, 4), 1), Seen(column(0, 4, x=60), 2)), allow_new=False)
    follower.process(0, stack(0))
    assert follower.finish() == []


def volume(spacing=(0.8, 0.8, 2.0), size=(100, 100, 30), direction=None) -> Volume:
    array = np.full(size[::-1], 40, np.int16)
    array[:, ::5] = -100
    direction = np.diag([-1.0, -1.0, 1.0]) if direction is None else direction
    return Volume(array, Geometry(size, spacing, (40.0, 40.0, -30.0), direction), "ct", "CT")


def track_of(boxes) -> Track:
    return Track({n: np.array(box, float) for n, box in boxes.items()}, dict.fromkeys(boxes, 0.8))


def test_a_finding_lies_where_its_boxes_lie():
    slices = LNSlices(volume())
    (finding,) = track_findings.findings_from_tracks(
        [track_of(column(10, 14, x=5, y=30, size=10))], slices, "t0", Provenance("m")
    )
    seen = finding.at("t0")
    grid = slices.geometry
    assert np.allclose(seen.centre, grid.to_ras((9.5, 34.5, 12)))
    assert np.allclose(np.subtract(seen.box.high, seen.box.low), np.array([10, 10, 5]) * grid.spacing)
    assert seen.long_axis.length_mm == pytest.approx(8.0, abs=0.1)
    assert finding.side is Side.UNKNOWN, "a block without outline shows no middle of a body"
    assert finding.label == "LN 1"


def test_detections_in_air_or_as_bright_as_bone_are_discarded():
    scan = volume(size=(200, 150, 30))
    k, j, i = np.indices(scan.array.shape)
    scan.array[(i < 20) | (i > 150) | (j < 20) | (j > 130)] = -1000
    places = {"node": (50, 60, 60), "bone": (100, 60, 700), "clip": (180, 60, 60)}
    for x, y, hu in places.values():
        scan.array[((i - x) ** 2 + (j - y) ** 2 < 16) & (abs(k - 12) < 4)] = hu
    slices = LNSlices(scan)

    def there(x: float, y: float) -> Track:
        at = slices.geometry.to_ijk(scan.geometry.to_ras((x, y, 12)))
        return track_of(column(10, 14, x=at[0] - 3.5, y=at[1] - 3.5, size=8))

    node, bone, clip = (there(x, y) for x, y, _ in places.values())
    assert remove_false_positives([clip, bone, node], slices) == [node]


@pytest.mark.parametrize("thickness", [0.7, 2.0, 5.0])
@pytest.mark.parametrize("flip", [1.0, -1.0])
def test_tracklets_lie_on_the_scans_own_slices(thickness, flip):
    direction = np.diag([-1.0, -1.0, 1.0]) * [1, 1, flip]
    scan = volume((0.9, 0.7, thickness), (90, 110, int(60 / thickness)), direction)
    slices = LNSlices(scan)
    tracklet = track_findings.tracklet_of(track_of(column(8, 13)), slices)
    assert np.allclose(tracklet.origin, scan.origin)
    low, high = tracklet.bounds()
    grid = slices.geometry
    ends = grid.to_ras([(19.5, 19.5, 7.5), (29.5, 29.5, 13.5)])
    assert np.allclose(sorted((low[0], high[0])), sorted(ends[:, 0]), atol=1e-6)
    assert abs(low[2] - ends[:, 2].min()) <= thickness / 2 + 1
    assert abs(high[2] - ends[:, 2].max()) <= thickness / 2 + 1
    assert [box.slice_index for box in tracklet.boxes] == list(range(tracklet.first, tracklet.last + 1))


def test_a_sagittal_scan_keeps_the_slices_that_were_read():
    direction = np.array([[0.0, 0, -1], [-1, 0, 0], [0, 1, 0]])
    slices = LNSlices(volume((0.8, 2.0, 0.8), (100, 30, 100), direction))
    tracklet = track_findings.tracklet_of(track_of(column(8, 13)), slices)
    assert np.allclose(tracklet.origin, slices.geometry.origin)


def test_a_box_is_converted_to_the_working_slice_and_back():
    slices = LNSlices(volume((0.9, 0.7, 5.0), (90, 110, 12)))
    tracklet = track_findings.tracklet_of(track_of(column(8, 13)), slices)
    k = tracklet.boxes[1].slice_index
    index, box = track_findings.box_on_working_slice(tracklet, k, slices)
    assert np.allclose(box, (20, 20, 30, 30), atol=1e-6)
    back = track_findings.boxes_on_slices_of(tracklet, track_of({index: box}), slices)
    assert list(back) == [k]
    assert np.allclose(back[k].low, tracklet.at(k).low)
    with pytest.raises(InputError, match="no box on slice 99"):
        track_findings.box_on_working_slice(tracklet, 99, slices)


def test_only_the_requested_direction_is_replaced():
    def box(k: int, x: float) -> SliceBox:
        return SliceBox(k, (x, x), (x + 1, x + 1))

    old = Tracklet((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 2), tuple(box(k, 0) for k in range(2, 9)))
    new = {k: box(k, 5) for k in (4, 5, 6)}
    up = track_findings.replace_boxes(old, new, 5, up=True, down=False)
    assert [(b.slice_index, b.low[0]) for b in up.boxes] == [(2, 0), (3, 0), (4, 0), (5, 0), (6, 5)]
    both = track_findings.replace_boxes(old, new, 5, up=True, down=True)
    assert [(b.slice_index, b.low[0]) for b in both.boxes] == [(4, 5), (5, 0), (6, 5)]


@pytest.mark.parametrize("flip", [1.0, -1.0])
def test_slice_numbers_may_grow_against_the_reading_direction(flip):
    slices = LNSlices(volume(direction=np.diag([-1.0, -1.0, 1.0]) * [1, 1, flip]))
    assert track_findings.is_parallel(track_findings.tracklet_of(track_of(column(8, 13)), slices), slices) is (flip > 0)
