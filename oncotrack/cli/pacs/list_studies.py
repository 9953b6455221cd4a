"""``oncotrack pacs list``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from oncotrack.cli.options import Json
from oncotrack.cli.output import print_result
from oncotrack.cli.pacs.options import ArchiveName, SettingsFile, open_archive


def list_studies(
    patient: Annotated[str, typer.Option("--patient", metavar="ID", help="Patient ID.", show_default=False)] = "",
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="Patient's name; * matches anything.", show_default=False)
    ] = "",
    date: Annotated[
        str, typer.Option("--date", metavar="DATE", help="YYYYMMDD, or a range YYYYMMDD-YYYYMMDD.", show_default=False)
    ] = "",
    study: Annotated[
        str, typer.Option("--study", metavar="UID", help="List the series of this study.", show_default=False)
    ] = "",
    archive: ArchiveName = "",
    settings: SettingsFile = None,
    json: Json = None,
) -> None:
    """List the studies of a patient, or the series of a study."""
    from oncotrack.errors import InputError
    from oncotrack.pacs.archive import Query

    if not any((patient, name, date, study)):
        raise InputError("Nothing to search for: give a patient, a name, a date or a study.")
    found = open_archive(archive, settings)
    if study:
        series = found.find_series(study)
        lines = {each.uid: f"{each.modality} {each.description}, {each.instances} images" for each in series}
        print_result({"series": [asdict(each) for each in series]}, json, lines)
        return
    studies = found.find_studies(Query(patient, name, date))
    lines = {
        each.uid: ", ".join(
            filter(None, (each.date, each.patient_id, each.patient_name, each.modalities, each.description))
        )
        for each in studies
    }
    print_result({"studies": [asdict(each) for each in studies]}, json, lines or {"": "No study matches."})
