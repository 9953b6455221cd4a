"""``oncotrack evaluate response-rules``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from oncotrack.cli.options import Criteria, Json
from oncotrack.cli.output import print_result
from oncotrack.errors import InputError


def response_rules(
    tu: Annotated[Path, typer.Argument(metavar="TU.csv", help="Tumour identification.")],
    tr: Annotated[Path, typer.Argument(metavar="TR.csv", help="Tumour results: the measurements.")],
    rs: Annotated[Path, typer.Argument(metavar="RS.csv", help="The responses.")],
    criteria: Criteria = "recist11",
    json: Json = None,
) -> None:
    """Compare the response rules with a trial's SDTM tables.

    Every response of the table RS is compared with the one that follows from the measurements in TR, or, at visits without
    measurements, from the responses of target, non-target and new lesions in RS itself.
    """
    from oncotrack.datasets.sdtm import read_sdtm
    from oncotrack.evaluation.response_rules import evaluate_response_rules
    from oncotrack.response.result import CRITERIA

    if criteria not in CRITERIA:
        raise InputError(f'There are no criteria "{criteria}"; choose {" or ".join(CRITERIA)}.', parameter="criteria")
    result = evaluate_response_rules(read_sdtm(tu, tr, rs), criteria)
    if not result["rows"]:
        raise InputError(f"{rs} has no response that could be compared: no subject has measurements in {tr}.")
    print_result(result, json, _lines(result))


def _lines(result: dict[str, Any]) -> dict[str, str]:
    lines = {
        "Rows": f"{result['rows']}, {result['from_measurements']} of them from measurements",
        "Agree": str(result["agree"]),
        "Adjudicated rows": "{rows}, agree {agree}".format(**result["adjudicated"]),
    }
    for each in result["differences"]:
        lines["{subject}, {visit}, {reader}, {test}".format(**each)] = "table {table}, rules {rules}. {why}".format(
            **each
        )
    return lines
