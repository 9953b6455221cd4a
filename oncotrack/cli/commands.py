"""The names of the commands with one line of help each; imports nothing, so that ``oncotrack --help`` is immediate."""

from __future__ import annotations

GROUPS = {
    "oncotrack": "Detect, follow and measure lymph nodes and lesions from scan to scan.\n"
    "Research use only; not a medical device.",
    "pacs": "Search, retrieve and send in an archive (PACS): DICOMweb or DIMSE.",
    "evaluate": "Measure accuracy against ground truth, with the papers' metrics.",
    "train": "Train a network, or continue a training run.",
    "bench": "Measure speed and accuracy next to common alternatives.",
    "archive": "Work on all patients of an archive.",
}

COMMANDS: dict[str, dict[str, str]] = {
    "oncotrack": {
        "follow": "Find a baseline lesion in one follow-up scan or in several.",
        "detect": "Detect the lymph nodes of a CT, an MR or a PET/CT.",
        "series": "List the series of a DICOM folder, DICOMDIR or zip archive.",
        "suv": "Convert a PET to standardised uptake values (SUV).",
        "mask": "Make a mask from two RECIST diameters, in their slice or in 3D.",
        "respond": "Response to treatment from measured findings: RECIST 1.1, iRECIST.",
        "export": "Write findings as DICOM reports and segmentations.",
        "import": "Read DICOM reports, segmentations and RTSTRUCT as findings.",
        "view": "Open the viewer in a browser.",
        "demo": "Follow several lesions of a sample or synthetic patient.",
        "samples": "List the public sample scans, or download one.",
        "phantom": "Make a synthetic patient over time, with its ground truth.",
        "info": "Show what is installed, or describe one method.",
        "archive": GROUPS["archive"],
        "pacs": GROUPS["pacs"],
        "train": GROUPS["train"],
        "evaluate": GROUPS["evaluate"],
        "bench": GROUPS["bench"],
    },
    "pacs": {
        "list": "List the studies of a patient, or the series of a study.",
        "get": "Retrieve the series of a study.",
        "send": "Send DICOM files; what is not taken is sent later.",
    },
    "evaluate": {
        "landmarks": "Measure the distance between matched and annotated landmarks.",
        "follow": "Evaluate follow-up methods on lesions known in both scans.",
        "detector": "Evaluate a lymph node detector on scans with known nodes.",
        "insertion": "Try to distinguish inserted nodes from real small structures.",
        "petct": "Evaluate the PET/CT detector on synthetic studies.",
        "detection": "Compare detected boxes with ground truth boxes, from files.",
        "masks": "Compare masks with ground truth masks: Dice, ASD, box IoU.",
        "response": "Evaluate measurements proposed at the follow-up.",
        "response-rules": "Compare the response rules with a trial's SDTM tables.",
        "dls": "Evaluate predictions for Deep Longitudinal Study: MED, CPM.",
    },
    "archive": {
        "index": "Index the series of an archive, and choose which are read.",
        "run": "Detect, follow and measure nodes of all patients of an index.",
    },
    "train": {
        "lntracker": "Train LN-Tracker, the lymph node detector for CT.",
        "second-look": "Train and calibrate the second look at the proposals in CT.",
        "mr": "Train the lymph node detector for MR.",
        "petct": "Train the lymph node detector for PET/CT, stage by stage.",
        "dlt": "Train Deep Lesion Tracker.",
        "tlt": "Train Transformer Lesion Tracker.",
        "unet": "Train the 3D U-Net that LN-Tracker is compared with.",
    },
    "bench": {
        "follow": "Time follow-up methods next to affine and B-spline registration.",
        "detect": "Time LN-Tracker next to box stacking and a 3D U-Net.",
        "petct": "Time the PET/CT detector next to MONAI's sliding window.",
        "mask": "Time masks from two diameters next to threshold and region growing.",
        "read": "Time opening a DICOM series and listing a study folder.",
        "dicom": "Time writing findings as DICOM, and retrieving from an archive.",
        "work": "Time a click to its match in the work process of Slicer.",
        "archive": "Time an archive on Dask workers next to loops of commands.",
        "view": "Time the browser viewer: first page, new slice, click to match.",
        "phantom": "Compare synthetic patients with real ones: HU, noise, node sizes.",
    },
}

READING = {"follow", "detect", "series", "suv", "mask", "view"}
"""Commands that read scans at once."""

RENAMED = {"--part": "--stage", "--insert": "--insert-into", "--wobble": "--jitter-voxels"}
"""Earlier names of options, still accepted so that existing scripts work."""


def overview(group: str) -> str:
    """Return the help text of the whole program ("oncotrack") or of one group of commands."""
    program = "oncotrack" if group == "oncotrack" else f"oncotrack {group}"
    width = max(map(len, COMMANDS[group]))
    options = ["  --help               Show this message and exit."]
    if group == "oncotrack":
        options = [
            "  --version            Show the version and exit.",
            "  --unsafe-in-process  Read scans in this process; a damaged file may end it.",
            *options,
        ]
    return "\n".join(
        [
            f"Usage: {program} COMMAND [OPTIONS]",
            "",
            *(f"  {line}" for line in GROUPS[group].splitlines()),
            "",
            "Commands:",
            *(f"  {name:{width}}  {line}" for name, line in COMMANDS[group].items()),
            "",
            "Options:",
            *options,
            "",
            f"{program} COMMAND --help describes one command.",
            "",
        ]
    )


def option_hint(error: Exception) -> str:
    """Return the sentence that names the option to change, or "" where the error names no parameter."""
    option = option_of(error)
    return f" Use the option {option}." if option else ""


def option_of(error: Exception) -> str:
    """Return the option of the parameter that an error names, or ""."""
    name = getattr(error, "parameter", "")
    option = "--" + name.replace("_", "-")
    return RENAMED.get(option, option) if name else ""
