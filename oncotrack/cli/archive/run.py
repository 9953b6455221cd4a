"""``oncotrack archive run``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oncotrack.cli.options import Criteria, Device, Json, Method, out_folder
from oncotrack.cli.output import print_message, print_result, print_written, progress_bar
from oncotrack.errors import InputError

if TYPE_CHECKING:
    from oncotrack.archive.cases import Case
    from oncotrack.archive.cluster import Cluster
    from oncotrack.archive.estimate import Estimate
    from oncotrack.archive.run import Summary

_LISTED = 12  # reasons of failures that are printed; the table holds all


def run(
    index: Annotated[Path, typer.Argument(metavar="INDEX.parquet", help="From oncotrack archive index.")],
    out: Annotated[Path, out_folder("Folder of the results; that of an earlier run is continued.")],
    jobs: Annotated[
        str, typer.Option("--jobs", help="detect, follow, measure and respond, or the first ones of them.")
    ] = "detect,follow,measure,respond",
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=0,
            help="Worker processes on this computer; 0 computes in this process.",
            show_default="one a core",
        ),
    ] = None,
    scheduler: Annotated[
        str,
        typer.Option("--scheduler", metavar="ADDRESS", help="Use the workers of this Dask scheduler, tcp://host:8786."),
    ] = "",
    memory: Annotated[
        float, typer.Option("--memory", min=0, metavar="GB", help="Memory of each worker; 0 for an equal share.")
    ] = 0.0,
    threads: Annotated[
        int, typer.Option("--threads", min=0, help="Threads that compute a patient; 0 shares the cores out.")
    ] = 0,
    detector: Annotated[
        str, typer.Option("--detector", help="lntracker, fatblobs or combined (CT), or mr; chosen by modality.")
    ] = "",
    method: Method = "ensemble",
    criteria: Criteria = "recist11",
    device: Device = "auto",
    patient: Annotated[
        list[str] | None, typer.Option("--patient", metavar="ID", help="Only this patient; repeatable.")
    ] = None,
    sr: Annotated[bool, typer.Option("--sr", help="Write DICOM structured reports.")] = False,
    seg: Annotated[bool, typer.Option("--seg", help="Write DICOM segmentations.")] = False,
    send: Annotated[
        str, typer.Option("--send", metavar="NAME", help="Send the DICOM objects to this archive (PACS).")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and how long it takes.")] = False,
    sample: Annotated[
        int, typer.Option("--sample", min=1, help="Patients that --dry-run measures if none are computed yet.")
    ] = 2,
    json: Json = None,
) -> None:
    """Detect, follow and measure nodes of all patients of an index.

    It ends with the response. What is computed is kept: a run that was stopped goes on where it was, and a changed option computes only what depends
    on it. Nothing is checked by a reader: results are proposals.
    """  # fmt: skip
    from oncotrack.archive.cluster import Cluster
    from oncotrack.archive.plan import Plan

    if scheduler and workers is not None:
        raise InputError("Give workers on this computer or a scheduler, not both.", parameter="scheduler")
    if send and not (sr or seg):
        raise InputError("There is nothing to send. Choose reports, segmentations or both.", parameter="send")
    plan = Plan(
        tuple(filter(None, (job.strip() for job in jobs.split(",")))),
        detector, method, criteria, device=device, reports=sr, segmentations=seg,
    )  # fmt: skip
    cases, out = _cases(index, patient), out.absolute()
    cluster = None if workers == 0 else Cluster(scheduler, workers or 0, memory)
    if dry_run:
        _estimate(cases, plan, out, cluster, threads, sample, json)
        return
    from oncotrack.archive.run import run_archive

    with progress_bar() as progress:
        summary = run_archive(cases, plan, out, cluster, threads=threads, progress=progress, tell=print_message)
    for name in summary.written:
        print_written(name)
    result: dict[str, Any] = {
        "patients": summary.patients,
        "done_before": summary.known,
        "computed": summary.computed,
        "failed": summary.failed,
        "incomplete": summary.incomplete,
        "seconds": summary.seconds,
        "stage_seconds": dict(summary.stage_seconds),
        "reasons": dict(summary.reasons),
    }
    if send:
        result["sent"] = _send(cases, plan, out, send)
    print_result(result, json, _lines(summary))
    for reason, count in summary.reasons.most_common(_LISTED) if json != "-" else ():
        print_message(f"  {count} failed: {reason}")


def _cases(index: Path, wanted: list[str] | None) -> list[Case]:
    from oncotrack.archive.cases import cases_of
    from oncotrack.archive.entries import read_index

    cases = cases_of(*read_index(index))
    if not wanted:
        return cases
    chosen = [case for case in cases if case.patient in set(wanted)]
    if missing := set(wanted) - {case.patient for case in chosen}:
        raise InputError(f"{index} has no patient {', '.join(sorted(missing))} to read.", parameter="patient")
    return chosen


def _lines(summary: Summary) -> dict[str, str]:
    from oncotrack.archive.run import duration_text, rate_text

    count = summary.computed + summary.failed
    incomplete = f" ({summary.incomplete} with visits that could not be compared)" if summary.incomplete else ""
    return {
        "Patients": f"{summary.computed} computed{incomplete}, {summary.failed} failed, {summary.known} done before",
        "Time": f"{duration_text(summary.seconds)}, {rate_text(count, summary.seconds)}",
        "Seconds by stage": ", ".join(f"{name} {taken:.0f}" for name, taken in summary.stage_seconds.items()) or "none",
    }


def _estimate(
    cases: list[Case], plan: Any, out: Path, cluster: Cluster | None, threads: int, sample: int, json: str | None
) -> None:
    from dataclasses import asdict

    from oncotrack.archive.estimate import estimate
    from oncotrack.archive.run import duration_text

    workers = cluster.size() if cluster else 1
    with progress_bar() as progress:
        found: Estimate = estimate(
            cases, plan, out, workers, sample, progress, threads=threads or (cluster.threads if cluster else 0)
        )
    print_result(asdict(found) | {"workers": workers}, json, {
        "Patients": f"{found.patients}, of which {found.known} are done; {found.scans} scans to read",
        "Missing": ", ".join(f"{name} {count}" for name, count in found.stages.items()),
        "Time": f"about {duration_text(found.seconds)} with {workers} worker{'s' * (workers != 1)}; "
        f"{found.seconds_per_patient:.1f} s a patient, measured on {found.measured}",
        "Memory": f"{found.largest_bytes / 1e9:.1f} GB a worker for the largest patient",
    })  # fmt: skip


def _send(cases: list[Case], plan: Any, out: Path, name: str) -> dict[str, Any]:
    from oncotrack.archive.sending import send_results
    from oncotrack.cli.pacs.options import open_archive

    with progress_bar() as progress:
        sent = send_results(cases, plan, out, open_archive(name, None), progress)
    print_message(f"{sent.sent} DICOM objects sent to {name}, {sent.waiting} waiting. {sent.problem}".rstrip())
    return {"sent": sent.sent, "waiting": sent.waiting, "problem": sent.problem}
