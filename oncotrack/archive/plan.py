"""What is computed for every patient of an archive, and the keys by which a result is known to be up to date."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from oncotrack import __version__
from oncotrack.archive.cases import Case, Scan
from oncotrack.detection.detector import DETECTORS, detector_for_modality
from oncotrack.detection.shown import SHOWN_AT_MOST
from oncotrack.errors import InputError
from oncotrack.followup import DEFAULT_METHOD
from oncotrack.networks.weights import bundled
from oncotrack.resources import resource
from oncotrack.response.criteria import Settings
from oncotrack.response.result import CRITERIA

JOBS = ("detect", "follow", "measure", "respond")
"""The jobs in their order; each uses the result of the one before."""
EXPORT = "export"
"""The stage that writes DICOM objects, after all jobs."""
REGISTER = "register"
"""The stage of a failure that concerns two visits only: the patient is computed without comparing them."""
_CONFIG = "compact"
_NETWORKS = {"lntracker": ("lntracker",), "fatblobs": (), "combined": ("lntracker",), "mr": ("mr",),
             "dlt": ("dlt",), "tlt": ("tlt",), "ensemble": ("dlt",), "selfsim": (), "affine": (), "bspline": ()}  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What is computed.

    Attributes
    ----------
    jobs : tuple of str
        The first ones of `JOBS`.
    detector : str
        Name of a detector; "" takes the default for the modality of each scan.
    method : str
        Name of a follow-up method.
    criteria : str
        Criteria of the response.
    response : Settings
        Settings of the response.
    most : int
        Number of proposals of each scan that are followed, if the detector gives them a probability.
    device : str
        "auto", "cpu", "cuda" or "mps".
    reports, segmentations : bool
        Whether DICOM structured reports and segmentations are written.
    """

    jobs: tuple[str, ...] = JOBS
    detector: str = ""
    method: str = DEFAULT_METHOD
    criteria: str = "recist11"
    response: Settings = field(default_factory=Settings)
    most: int = SHOWN_AT_MOST
    device: str = "auto"
    reports: bool = False
    segmentations: bool = False

    def __post_init__(self) -> None:
        if not self.jobs or self.jobs != JOBS[: len(self.jobs)]:
            raise InputError(
                f"The jobs {', '.join(self.jobs) or '(none)'} cannot be done alone: each uses the result of the one before. "
                f"Name the first ones of: {', '.join(JOBS)}.",
                parameter="jobs",
            )
        for name, value, known in (
            ("detector", self.detector, ("", *DETECTORS)),
            ("method", self.method, [each for each in _NETWORKS if each not in DETECTORS]),
            ("criteria", self.criteria, tuple(CRITERIA)),
        ):
            if value not in known:
                listed = ", ".join(filter(None, known))
                raise InputError(f'There is no {name} "{value}". Choose one of: {listed}.', parameter=name)

    @property
    def exports(self) -> bool:
        """Whether DICOM objects are written."""
        return self.reports or self.segmentations

    def detector_of(self, scan: Scan) -> str:
        """Return the name of the detector for a scan.

        Parameters
        ----------
        scan : Scan
            The series.
        """
        return self.detector or detector_for_modality(scan.modality)


@dataclass(frozen=True)
class Keys:
    """The keys of a patient's results: a result whose key is known is never computed again.

    Attributes
    ----------
    detect : tuple of str
        One for each visit.
    follow, measure, respond, export : str
        Of the patient; "" for what is not computed.
    """

    detect: tuple[str, ...]
    follow: str = ""
    measure: str = ""
    respond: str = ""
    export: str = ""

    @property
    def all(self) -> str:
        """The key of everything together."""
        return _digest([[getattr(self, each.name) for each in fields(self)]])


class KeyMaker:
    """Makes the keys of patients for one plan: from images, program version, weights and settings.

    Parameters
    ----------
    plan : Plan
        What is computed.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._weights: dict[str, str] = {}

    def keys(self, case: Case) -> Keys:
        """Return the keys of a patient.

        Parameters
        ----------
        case : Case
            The patient.
        """
        plan = self._plan
        detect = tuple(self._detect(scan) for scan in case.scans)
        follow = self._key("follow", plan.method, [detect, [each.date for each in case.scans], plan.most])
        measure = _digest(["measure", follow])
        respond = _digest(["respond", measure, plan.criteria, vars(plan.response)])
        made: dict[str, str] = dict(zip(JOBS[1:], (follow, measure, respond), strict=True))
        used = {name: made[name] for name in plan.jobs[1:]}
        last = used.get(plan.jobs[-1], _digest([detect]))
        export = _digest([EXPORT, last, plan.reports, plan.segmentations]) if plan.exports else ""
        return Keys(detect, **used, export=export)

    def _detect(self, scan: Scan) -> str:
        return self._key("detect", self._plan.detector_of(scan), [scan.key, scan.content, self._plan.most])

    def _key(self, stage: str, method: str, content: Sequence[Any]) -> str:
        if method not in self._weights:
            self._weights[method] = weights_digest(method)
        return _digest([stage, __version__, method, self._weights[method], *content])


def weights_digest(method: str) -> str:
    """Return a digest of all weights that a detector or a follow-up method uses.

    Parameters
    ----------
    method : str
        Its name.
    """
    paths = [bundled(name, _CONFIG) for name in _NETWORKS[method]]
    if method in DETECTORS and method != "mr":
        paths.append(Path(resource("weights", "second-look.json")))
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes() if path.is_file() else b"missing")
    return digest.hexdigest()


def _digest(content: Sequence[Any]) -> str:
    return hashlib.blake2b(json.dumps(content).encode(errors="surrogateescape"), digest_size=10).hexdigest()
