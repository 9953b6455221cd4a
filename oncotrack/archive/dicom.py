"""The results of a patient as DICOM objects, and their way to an archive (PACS)."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from oncotrack.archive.plan import Plan
from oncotrack.atomic import folder_beside
from oncotrack.background.jobs import Progress, silent
from oncotrack.dicom_objects.export import Choice, earlier_reports, save
from oncotrack.dicom_objects.export import export as export_findings
from oncotrack.dicom_objects.visits import assign
from oncotrack.errors import OutputError
from oncotrack.findings.finding_list import FindingList

if TYPE_CHECKING:
    from oncotrack.images.dicom import Series


def export(found: FindingList, series: Sequence[Series], plan: Plan, folder: Path, progress: Progress = silent) -> None:
    """Write the reports and segmentations of a patient, proposals included; the folder appears when all are written.

    Parameters
    ----------
    found : FindingList
        The findings.
    series : sequence of Series
        The scans, in the order of the visits.
    plan : Plan
        What is written.
    folder : Path
        The folder to make. Reports in the folders beside it are named as those that the new ones replace.
    progress : Progress
        Called between the steps.
    """
    earlier = earlier_reports(*(each for each in folder.parent.glob("*") if not each.name.startswith(".")))
    temporary = folder_beside(folder)
    try:
        if any(observation.is_there for finding in found for observation in finding.observations.values()):
            choice = Choice(plan.reports, plan.segmentations, with_proposals=True, criteria=plan.criteria)
            scans = assign(found.time_points, series)
            result = export_findings(found.time_points, found.findings, scans, choice, earlier, progress)
            save(result.objects, temporary)
        temporary.rename(folder)
    except OSError as error:
        raise OutputError(f"{folder} could not be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
