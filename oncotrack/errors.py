"""The one exception family.

Every message is a sentence for a radiologist: what is wrong, where, and what to do next.
The command line prints it and exits 2; a module shows it; a traceback is a bug.
"""

UNEXPECTED = "This did not work because of an error in OncoTrack; the log has the details."
"""What is said of a defect of our own."""


class OncoTrackError(Exception):
    """Base of everything that OncoTrack says on purpose."""


class InputError(OncoTrackError):
    """An image, a file, a point or an option cannot be used as it is."""


class RegistrationError(OncoTrackError):
    """Two scans could not be brought into correspondence."""


class OutputError(OncoTrackError):
    """A result could not be written."""


class MissingPackageError(OncoTrackError):
    """An optional package or system library that this job needs is not installed."""


class WeightsError(OncoTrackError):
    """Trained weights are missing, damaged, or do not fit the network."""


class TrainingError(OncoTrackError):
    """Training cannot start or go on."""


class Cancelled(OncoTrackError):
    """The reader stopped the work; nothing was changed."""

    def __init__(self, message: str = "Cancelled; nothing was changed.") -> None:
        super().__init__(message)
