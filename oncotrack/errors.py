"""The exceptions that OncoTrack raises on purpose.

Every message is a sentence for a radiologist: what is wrong, where, and what to do next. The command line prints it and
exits with code 2, a Slicer module shows it; a traceback is a bug.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

UNEXPECTED = "This did not work because of an error in OncoTrack; the log has the details."
"""Message for an unexpected internal error."""


class OncoTrackError(Exception):
    """Base class of all errors with a message for the user.

    Parameters
    ----------
    message : str
        Sentences that are true in every user interface: they name no command-line option.
    parameter : str
        The Python name of the parameter to change ("device", "learning_rate"), or "" when there is none. The
        command line adds the option of that name (``--device``, ``--learning-rate``) as a hint.
    """

    def __init__(self, message: str, *, parameter: str = "") -> None:
        super().__init__(message)
        self.parameter = parameter


class InputError(OncoTrackError):
    """An image, a file, a point or an option cannot be used as it is."""


class RegistrationError(OncoTrackError):
    """Two scans could not be aligned."""


class OutputError(OncoTrackError):
    """A result could not be written."""


class MissingPackageError(OncoTrackError):
    """An optional package or system library that this job needs is not installed."""


class WeightsError(OncoTrackError):
    """Trained weights are missing, damaged, or do not fit the network."""


class TrainingError(OncoTrackError):
    """Training cannot start or continue."""


class Cancelled(OncoTrackError):
    """The reader stopped the work; nothing was changed.

    Parameters
    ----------
    message : str
        The sentence to show.
    """

    def __init__(self, message: str = "Cancelled; nothing was changed.") -> None:
        super().__init__(message)


@contextmanager
def long_names_refused() -> Iterator[None]:
    """Raise InputError inside the block for a file name that the disk cannot hold.

    Raises
    ------
    InputError
        A name is too long.
    """
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        name = str(error.filename or "").replace("\\", "/").rsplit("/", 1)[-1]
        raise InputError(
            f"The name {name[:40]}... has {len(name)} characters, which is more than a disk allows. Choose a shorter one."
        ) from error
