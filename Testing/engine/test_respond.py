"""`oncotrack respond`: findings with roles to a response, tables, a report and the plots of a cohort."""

import csv
import json
from dataclasses import replace

import pytest
from PIL import Image

from oncotrack.findings.assessment import Assessment, Judgement
from oncotrack.findings.finding import Axis, Finding, Kind, Observation, Provenance, Role, State, TimePoint
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.tracklet import SliceBox, Tracklet
from oncotrack.response.course import Seen
from oncotrack.response.course_of_findings import course_of_findings
from oncotrack.response.result import CRITERIA

VISITS = (
    TimePoint("t0", "baseline", date="20250101", slice_mm=1.0),
    TimePoint("t1", "follow-up 1", date="20250301", slice_mm=1.0),
    TimePoint("t2", "follow-up 2", date="20250501", slice_mm=1.0),
)


def measured(long: float, short: float | None = None, state: State = State.ACCEPTED, **fields) -> Observation:
    short = long * 0.8 if short is None else short
    return Observation(
        centre=(0, 0, 0),
        state=state,
        long_axis=Axis((0, 0, 0), (long, 0, 0)),
        short_axis=Axis((0, 0, 0), (0, short, 0)),
        volume_mm3=0.5 * long**3,
        provenance=Provenance(reader="reader"),
        **fields,
    )


def finding(label: str, *observations, role: Role = Role.TARGET, **fields) -> Finding:
    seen = {visit.id: each for visit, each in zip(VISITS, observations, strict=False) if each is not None}
    return Finding(label=label, role=role, observations=seen, **fields)


def patient(tmp_path, name: str = "patient", growth: tuple[float, ...] = (30, 20, 18), extra=()) -> str:
    findings = [
        finding("L 1", *(measured(mm) for mm in growth), site="liver"),
        finding(
            "LN 1",
            measured(25, 20),
            measured(20, 12),
            measured(14, 9),
            kind=Kind.LYMPH_NODE,
            site="axillary lymph node",
        ),
        finding("L 2", measured(8), measured(8), measured(8), role=Role.NON_TARGET, site="lung"),
        finding("L 3", measured(50), measured(50), role=Role.NONE),
        *extra,
    ]
    path = tmp_path / f"{name}.findings.json"
    FindingList(VISITS, findings).save(path)
    return str(path)


def test_findings_with_a_role_become_a_response(oncotrack, tmp_path):
    done = oncotrack("respond", patient(tmp_path), "--json", "-")
    result = json.loads(done.out)
    assert (done.code, result["criteria"], result["name"]) == (0, "RECIST 1.1", "patient")
    assert [round(each["sum_mm"], 3) for each in result["visits"]] == [50, 32, 27]
    assert [each["overall"]["response"] for each in result["visits"][1:]] == ["PR", "PR"]
    assert result["best_overall_response_confirmed"] == {
        "response": "PR",
        "why": "PR at follow-up 1 was confirmed at follow-up 2.",
    }
    assert [each["label"] for each in result["lesions"]] == ["L 1", "LN 1", "L 2"], "L 3 has no role"
    assert (result["progression"], result["remarks"]) == (None, [])
    assert result["volumes"][0]["doubling_days"] < 0


def test_the_table_is_printed_for_a_clinical_report(oncotrack, tmp_path):
    lines = oncotrack("respond", patient(tmp_path)).out.splitlines()
    assert lines[0].split("  ")[0] == "Lesion"
    assert "follow-up 1 (2025-03-01)" in lines[0]
    rows = {line.split("  ")[0]: line.split() for line in lines if line}
    assert rows["LN 1, axillary lymph node, target (short axis)"][-3:] == ["20.0", "12.0", "9.0"]
    assert rows["Sum of diameters (mm)"][-3:] == ["50.0", "32.0", "27.0"]
    assert rows["Change from baseline (%)"][-2:] == ["-36.0", "-46.0"]
    assert rows["Response (RECIST 1.1)"][-2:] == ["PR", "PR"]
    assert any(line.startswith("With confirmation: PR.") for line in lines)


def test_a_report_a_table_and_the_sentences_are_written(oncotrack, tmp_path):
    done = oncotrack("respond", patient(tmp_path), "--criteria", "irecist", "--out", tmp_path / "out")
    folder = tmp_path / "out"
    assert done.code == 0
    assert sorted(path.name for path in folder.iterdir()) == [
        f"patient.response.{end}" for end in ("csv", "html", "pdf", "txt")
    ]
    rows = list(csv.reader((folder / "patient.response.csv").open()))
    assert rows[-1] == ["Response (iRECIST)", "", "iPR", "iPR"]
    page = (folder / "patient.response.html").read_text()
    assert all(text in page for text in ("Response by iRECIST", "data:image/png;base64", "Research use only", "-36.0"))


def test_a_cohort_gives_three_plots_and_a_table(oncotrack, tmp_path):
    files = [
        patient(tmp_path, "A", (30, 20, 18)),
        patient(tmp_path, "B", (30, 30, 60)),
        patient(tmp_path, "C", (30, 33, 29)),
    ]
    done = oncotrack("respond", *files, "--json", "-", "--out", tmp_path / "out")
    patients = json.loads(done.out)["patients"]
    assert [each["best_overall_response"]["response"] for each in patients] == ["PR", "SD", "SD"]
    assert patients[1]["progression"]["visit"] == "follow-up 2"
    rows = list(csv.reader((tmp_path / "out" / "cohort.csv").open()))
    assert rows[2] == ["B", "SD", "-16.0", "follow-up 2", "120"]
    for name in ("waterfall", "spider", "swimmer"):
        picture = Image.open(tmp_path / "out" / f"{name}.png").convert("L")
        assert len(picture.getcolors(maxcolors=2**24)) > 20, "something is drawn"
    shown = oncotrack("respond", *files).out
    assert "progression at follow-up 2 (2025-05-01)" in shown


def test_files_of_the_same_name_are_told_apart_by_their_folders(oncotrack, tmp_path):
    for name in ("A", "B"):
        (tmp_path / name).mkdir()
        patient(tmp_path / name, "findings")
    files = [tmp_path / name / "findings.findings.json" for name in ("A", "B")]
    patients = json.loads(oncotrack("respond", *files, "--json", "-").out)["patients"]
    assert [each["name"] for each in patients] == ["A", "B"]


def test_a_lesion_too_small_to_measure_counts_what_is_set(oncotrack, tmp_path):
    small = replace(measured(30), long_axis=None, short_axis=None, assessment=Assessment(Judgement.TOO_SMALL))
    file = patient(tmp_path, extra=[finding("L 4", measured(30), small, small, site="kidney")])
    sums = [
        each["sum_mm"] for each in json.loads(oncotrack("respond", file, "--too-small", 3, "--json", "-").out)["visits"]
    ]
    assert [round(each) for each in sums] == [80, 35, 30]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--criteria", "who"), 'There are no criteria "who"; choose recist11 or irecist. Use the option --criteria.'),
        (("--too-small", "-1"), "cannot count -1.0 mm"),
        (("--stable-days", "-1"), "cannot be negative (-1). Use the option --stable-days."),
    ],
)
def test_wrong_options_get_a_sentence(oncotrack, tmp_path, options, message):
    done = oncotrack("respond", patient(tmp_path), *options)
    assert (done.code, message in " ".join(done.err.split())) == (2, True)


def test_findings_without_a_role_or_a_follow_up_get_a_sentence(oncotrack, tmp_path):
    path = tmp_path / "none.json"
    FindingList(VISITS, [finding("L 1", measured(20), role=Role.NONE)]).save(path)
    done = oncotrack("respond", path)
    assert (done.code, "No finding has a role in RECIST" in done.err) == (2, True)
    FindingList(VISITS[:1], [finding("L 1", measured(20))]).save(path)
    done = oncotrack("respond", path)
    assert (done.code, "There is only one visit" in done.err, str(path) in done.err) == (2, True, True)


# findings to readings


def reading(observation: Observation, **fields):
    course = course_of_findings(VISITS, [finding("L 1", measured(20), observation, **fields)])
    return course.lesions[0].at(course.visits[1])


def test_states_of_an_observation_become_readings():
    absent = Observation(centre=(0, 0, 0), state=State.ABSENT, provenance=Provenance(reader="reader"))
    assert reading(absent).seen is Seen.ABSENT
    assert reading(replace(absent, state=State.NOT_FOUND)) is None
    assert reading(measured(20, state=State.REJECTED)) is None
    assert reading(measured(20, state=State.PROPOSED)).is_proposal
    assert (reading(measured(20)).long_mm, reading(measured(20)).plane) == (20, "axial")
    assert reading(Observation(centre=(0, 0, 0), state=State.ACCEPTED)).seen is Seen.PRESENT


def test_the_sides_of_a_slice_box_are_no_measurement():
    box = SliceBox(0, (0.0, 0.0), (20.0, 10.0))
    observation = Observation(centre=(0, 0, 0)).with_tracklet(
        Tracklet((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (box,))
    )
    assert reading(observation).long_mm is None


@pytest.mark.parametrize(
    ("judgement", "seen"),
    [
        (Judgement.TOO_SMALL, Seen.TOO_SMALL),
        (Judgement.NOT_EVALUABLE, Seen.NOT_EVALUABLE),
        (Judgement.PROGRESSED, Seen.PROGRESSED),
    ],
)
def test_judgements_of_the_reader_become_readings(judgement, seen):
    about = Assessment(judgement, is_equivocal=True, is_larger=True, sul_peak=4.0)
    found = reading(measured(20, assessment=about))
    assert (found.seen, found.equivocal, found.increased, found.sul_peak) == (seen, True, True, 4.0)


def test_visits_are_put_in_the_order_of_their_dates():
    course = course_of_findings(VISITS[::-1], [finding("L 1", measured(20))])
    assert [visit.id for visit in course.visits] == ["t0", "t1", "t2"]


def test_judgements_and_slice_thickness_are_saved(tmp_path):
    merged = measured(20, assessment=Assessment(Judgement.MERGED, merged_with="2.25.1"))
    path = tmp_path / "findings.json"
    FindingList(VISITS, [finding("L 1", merged, split_from="2.25.2"), finding("L 2", measured(9), uid="2.25.1")]).save(
        path
    )
    loaded = FindingList.open(path)
    assert loaded.findings[0].observations["t0"].assessment == merged.assessment
    assert (loaded.findings[0].split_from, loaded.time_points[0].slice_mm) == ("2.25.2", 1.0)


def test_every_criterion_has_a_name():
    assert CRITERIA == {"recist11": "RECIST 1.1", "irecist": "iRECIST"}


@pytest.fixture
def scans(tmp_path) -> list[str]:
    """Three scans with a bright ball where the lesions are."""
    import numpy as np

    from oncotrack.images.files import save
    from oncotrack.images.geometry import Geometry
    from oncotrack.images.volume import Volume

    grid = Geometry((40, 40, 20), (2.0, 2.0, 4.0), (-40.0, -40.0, -40.0))
    k, j, i = np.indices(grid.shape)
    inside = (grid.to_ras(np.stack([i, j, k], -1)) ** 2).sum(-1) < 225
    values = np.where(inside, 80, -100).astype(np.int16)
    return [str(save(Volume(values, grid, modality="CT"), tmp_path / f"visit{n}.nii.gz")) for n in range(3)]


def test_pictures_of_every_lesion_are_drawn_where_the_scans_are_given(oncotrack, tmp_path, scans):
    options = [word for scan in scans for word in ("--scan", scan)]
    done = oncotrack("respond", patient(tmp_path), *options, "--out", tmp_path / "out")
    page = (tmp_path / "out" / "patient.response.html").read_text()
    assert done.code == 0
    assert [f'alt="{label} at each visit"' in page for label in ("L 1", "LN 1", "L 2", "L 3")] == [
        True,
        True,
        True,
        False,
    ]
    assert "follow-up 1: reader" in page, "who measured it"
    assert (tmp_path / "out" / "patient.response.pdf").read_bytes().startswith(b"%PDF")


def test_each_visit_needs_its_scan(oncotrack, tmp_path, scans):
    done = oncotrack("respond", patient(tmp_path), "--scan", scans[0], "--out", tmp_path / "out")
    assert (done.code, "have 3 visits, but 1 scans were given" in done.err) == (2, True)
    files = [patient(tmp_path, name) for name in "AB"]
    done = oncotrack("respond", *files, "--scan", scans[0], "--out", tmp_path / "out")
    assert (done.code, "one patient at a time" in done.err) == (2, True)
