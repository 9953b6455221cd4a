"""Clinical-trial tables (SDTM): `oncotrack evaluate response-rules` on public tables and on tables made here."""

import csv
import json
from pathlib import Path

import pytest

from oncotrack.datasets.sdtm import read_sdtm
from oncotrack.evaluation.response_rules import evaluate_response_rules

PUBLIC = Path(__file__).resolve().parents[3] / "shared" / "data" / "recist_sdtm"
real = pytest.mark.real
needs_tables = pytest.mark.skipif(not PUBLIC.is_dir(), reason="needs the public tables in ../shared/data/recist_sdtm")

TU = ("USUBJID", "VISITNUM", "TULOC", "TUSTRESC", "TULNKID", "TUEVAL", "TUEVALID")
TR = (
    "USUBJID",
    "VISITNUM",
    "VISIT",
    "TRLNKID",
    "TRGRPID",
    "TRTESTCD",
    "TRSTRESC",
    "TRSTRESU",
    "TREVAL",
    "TREVALID",
    "TRDTC",
)
RS = ("USUBJID", "VISITNUM", "VISIT", "RSTESTCD", "RSSTRESC", "RSEVAL", "RSEVALID", "RSACPTFL", "RSDTC")


@pytest.fixture
def tables(tmp_path):
    """Write the three tables of one subject and reader; return their paths."""

    def write(organs: dict, results: list, responses: list, unit: str = "mm") -> list[Path]:
        rows = {
            "tu": [
                TU,
                *(("S1", "1", organ, role, link, "INVESTIGATOR", "NA") for link, (organ, role) in organs.items()),
            ],
            "tr": [
                TR,
                *(
                    (
                        "S1",
                        visit,
                        f"VISIT {visit}",
                        link,
                        "",
                        test,
                        value,
                        unit,
                        "INVESTIGATOR",
                        "NA",
                        f"2025-0{visit}-01",
                    )
                    for visit, link, test, value in results
                ),
            ],
            "rs": [
                RS,
                *(
                    ("S1", visit, f"VISIT {visit}", test, value, "INVESTIGATOR", "NA", "Y", f"2025-0{visit}-01")
                    for visit, test, value in responses
                ),
            ],
        }
        paths = []
        for name, content in rows.items():
            paths.append(tmp_path / f"{name}.csv")
            with paths[-1].open("w", newline="") as file:
                csv.writer(file).writerows(content)
        return paths

    return write


def public(rs: str) -> list[Path]:
    return [PUBLIC / name for name in ("tu_onco_recist.csv", "tr_onco_recist.csv", rs)]


@real
@needs_tables
def test_all_rows_of_the_public_recist_tables_agree(oncotrack):
    done = oncotrack("evaluate", "response-rules", *public("rs_onco_recist.csv"), "--json", "-")
    result = json.loads(done.out)
    assert (done.code, result["rows"], result["agree"], result["from_measurements"]) == (0, 51, 51, 51)
    assert result["adjudicated"] == {"rows": 17, "agree": 17}
    assert (result["differences"], result["without_data"]) == ([], 0)


@real
@needs_tables
def test_the_public_irecist_table_agrees_but_for_rows_that_contradict_the_guideline(oncotrack):
    done = oncotrack(
        "evaluate", "response-rules", *public("rs_onco_irecist.csv"), "--criteria", "irecist", "--json", "-"
    )
    result = json.loads(done.out)
    differences = {(each["subject"], each["visit"]): (each["table"], each["rules"]) for each in result["differences"]}
    assert (result["rows"], result["agree"]) == (52, 48)
    assert differences == {
        ("01-701-1034", "WEEK 18"): ("NON-iCR/NON-iUPD", "iSD"),  # the table's two responses are exchanged
        ("01-701-1097", "WEEK 6"): ("NE", "iUPD"),  # a new lesion
        ("01-701-1302", "WEEK 6"): ("iSD", "iUPD"),  # a new lesion
        ("01-701-1415", "WEEK 24"): ("NE", "iSD"),  # target lesions SD, non-target not evaluated, no new lesion
    }


ORGANS = {"T01": ("LIVER", "TARGET"), "T02": ("LYMPH NODE", "TARGET"), "NT01": ("BONE", "NON-TARGET")}
MEASURED = [
    ("1", "T01", "LDIAM", "30"), ("1", "T01", "LPERP", "20"), ("1", "T02", "LDIAM", "25"), ("1", "T02", "LPERP", "20"),
    ("1", "NT01", "TUMSTATE", "PRESENT"),
    ("2", "T01", "LDIAM", "20"), ("2", "T01", "LPERP", "18"), ("2", "T02", "LDIAM", "12"), ("2", "T02", "LPERP", "9"),
    ("2", "NT01", "TUMSTATE", "PRESENT"),
]  # fmt: skip


def test_a_table_is_read_as_a_course(tables):
    (of,) = read_sdtm(*tables(ORGANS, MEASURED, [("2", "OVRLRESP", "PR")]))
    nodes = {lesion.label: lesion.is_node for lesion in of.course.lesions}
    assert (of.reader, nodes) == ("INVESTIGATOR", {"T01": False, "T02": True, "NT01": False})
    result = evaluate_response_rules([of], "recist11")
    assert (result["rows"], result["agree"], result["adjudicated"]["agree"]) == (1, 1, 1)


def test_centimetres_are_read_too(tables):
    results = [
        (visit, link, test, value if test == "TUMSTATE" else str(float(value) / 10))
        for visit, link, test, value in MEASURED
    ]
    (of,) = read_sdtm(*tables(ORGANS, results, [("2", "OVRLRESP", "PR")], unit="cm"))
    assert evaluate_response_rules([of], "recist11")["agree"] == 1


def test_a_difference_names_the_row_the_rule_and_the_measurements(oncotrack, tables):
    files = tables(
        ORGANS,
        MEASURED,
        [("2", "OVRLRESP", "SD"), ("2", "TRGRESP", "PR"), ("2", "NTRGRESP", "CR"), ("2", "NEWLIND", "N")],
    )
    result = json.loads(oncotrack("evaluate", "response-rules", *files, "--json", "-").out)
    assert (result["rows"], result["agree"]) == (4, 2)
    overall, non_target = result["differences"]
    assert (overall["subject"], overall["visit"], overall["table"], overall["rules"]) == ("S1", "VISIT 2", "SD", "PR")
    assert overall["why"].endswith(
        "The sum of target diameters is 29.0 mm, -42.0 % from the baseline of 50.0 mm; PR from -30 %."
    )
    assert (non_target["test"], non_target["rules"]) == ("NTRGRESP", "Non-CR/Non-PD")
    shown = oncotrack("evaluate", "response-rules", *files).out
    assert "table SD, rules PR" in " ".join(shown.split())


def test_visits_without_measurements_are_compared_by_the_parts_of_the_response(tables):
    responses = [("3", "TRGRESP", "PR"), ("3", "NTRGRESP", "NE"), ("3", "NEWLIND", "Y"), ("3", "OVRLRESP", "PR")]
    result = evaluate_response_rules(read_sdtm(*tables(ORGANS, MEASURED, responses)), "recist11")
    assert (result["from_components"], result["differences"][0]["rules"]) == (1, "PD")


def test_a_missing_target_is_not_evaluable_and_states_are_read(tables):
    results = [
        *MEASURED[:5],
        ("2", "T01", "LDIAM", "TOO SMALL TO MEASURE"),
        ("2", "T02", "LPERP", "NE"),
        ("2", "NT01", "TUMSTATE", "ABSENT"),
    ]
    (of,) = read_sdtm(*tables(ORGANS, results, [("2", "OVRLRESP", "NE")]))
    assert evaluate_response_rules([of], "recist11")["agree"] == 1


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ([("1", "T01", "LDIAM", "large")], "tr.csv, line 2: large mm is no length in mm or cm"),
        ([("1", "T01", "LDIAM", "-3")], "-3 mm is no length"),
        ([("one", "T01", "LDIAM", "3")], "'one' is no number of a visit"),
        ([("1", "X9", "LDIAM", "3")], "X9 of S1 is neither target, non-target nor new"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_its_line(oncotrack, tables, results, message):
    done = oncotrack("evaluate", "response-rules", *tables(ORGANS, results, [("2", "OVRLRESP", "SD")]))
    assert (done.code, message in done.err, "Traceback" in done.err) == (2, True, False)


def test_files_that_are_no_such_tables_get_a_sentence(oncotrack, tables, tmp_path):
    tu, tr, rs = tables(ORGANS, MEASURED, [("2", "OVRLRESP", "SD")])
    for files, message in (
        ((tu, tr, tmp_path / "none.csv"), "does not exist"),
        ((tr, tu, rs), "Choose a table of the SDTM domain TU"),
    ):
        done = oncotrack("evaluate", "response-rules", *files)
        assert (done.code, message in done.err) == (2, True)
    done = oncotrack("evaluate", "response-rules", tu, tr, rs, "--criteria", "percist")
    assert (done.code, 'There are no criteria "percist"' in done.err) == (2, True)
    done = oncotrack("evaluate", "response-rules", *tables(ORGANS, [], [("2", "OVRLRESP", "SD")]))
    assert (done.code, "has no response that could be compared" in done.err) == (2, True)
