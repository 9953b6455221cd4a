"""An archive over DICOMweb (PS3.18): QIDO-RS, WADO-RS and STOW-RS, with the package dicomweb-client."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset

from oncotrack.errors import MissingPackageError
from oncotrack.pacs.archive import ArchiveError, Query, SeriesEntry, StudyEntry
from oncotrack.pacs.archives import ArchiveSettings, secret, secret_name, trust, unverified

_CHUNK_BYTES = 4 * 2**20
_MOST = 500


class DicomWebArchive:
    """An archive over DICOMweb.

    Parameters
    ----------
    name : str
        Its name in the settings.
    settings : ArchiveSettings
        Its settings.

    Raises
    ------
    MissingPackageError
        dicomweb-client is not installed.
    InputError
        The file of certificates in the settings cannot be used.
    """

    def __init__(self, name: str, settings: ArchiveSettings) -> None:
        try:
            from dicomweb_client.api import DICOMwebClient
            from requests import Session
        except ImportError as error:
            raise MissingPackageError(
                'DICOMweb needs the package dicomweb-client. Install it: pip install "oncotrack[pacs]".'
            ) from error
        logging.getLogger("dicomweb_client").setLevel(logging.WARNING)  # its debug messages name patients
        self.name, self._settings = name, settings
        trust(name, settings)  # names a faulty file of certificates

        class PlainWildcards(Session):
            """Sends wildcards as they are: Orthanc does not decode them in a query."""

            def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> Any:
                # given here, because REQUESTS_CA_BUNDLE in the environment takes precedence over the session's own value
                return super().request(method, url.replace("%2A", "*"), *args, **{"verify": settings.verify, **kwargs})

        session = PlainWildcards()
        if token := secret(name, settings, "TOKEN"):
            session.headers["Authorization"] = f"Bearer {token}"
        elif settings.user:
            session.auth = settings.user, secret(name, settings, "PASSWORD")
        self._client = DICOMwebClient(
            settings.url, session=session, chunk_size=_CHUNK_BYTES, timeout=settings.timeout_s
        )
        self._client.set_http_retry_params(retry=False)

    def find_studies(self, query: Query) -> list[StudyEntry]:
        """Return the studies that match, newest first.

        Parameters
        ----------
        query : Query
            What is searched for.
        """
        wanted = {
            "PatientID": query.patient_id,
            "PatientName": query.patient_name.replace("^", "*"),
            "StudyDate": query.date,
            "StudyInstanceUID": query.study_uid,
        }
        with self._answers():
            found = self._client.search_for_studies(
                search_filters={key: value for key, value in wanted.items() if value},
                fields=["StudyDescription", "ModalitiesInStudy"],
                limit=_MOST,
            )
        studies = [Dataset.from_json(each) for each in found]
        return sorted((study_entry(each) for each in studies), key=lambda each: each.date, reverse=True)

    def find_series(self, study_uid: str) -> list[SeriesEntry]:
        """Return the series of a study.

        Parameters
        ----------
        study_uid : str
            Study Instance UID.
        """
        with self._answers():
            found = self._client.search_for_series(
                study_uid, fields=["SeriesDescription", "SeriesDate", "NumberOfSeriesRelatedInstances"]
            )
        return [series_entry(Dataset.from_json(each), study_uid) for each in found]

    def find_instances(self, study_uid: str, series_uid: str) -> list[str]:
        """Return the SOP Instance UIDs of a series.

        Parameters
        ----------
        study_uid, series_uid : str
            UIDs.
        """
        with self._answers():
            found = self._client.search_for_instances(study_uid, series_uid)
        return [str(Dataset.from_json(each).SOPInstanceUID) for each in found]

    def retrieve(self, study_uid: str, series_uid: str) -> Iterator[Dataset]:
        """Yield the instances of a series as they arrive.

        Parameters
        ----------
        study_uid, series_uid : str
            UIDs.
        """
        with self._answers():
            yield from self._client.iter_series(study_uid, series_uid)

    def send(self, path: Path) -> None:
        """Store one file.

        Parameters
        ----------
        path : Path
            The file.
        """
        dataset = dcmread(path)
        with self._answers():
            answer = self._client.store_instances([dataset])
        failed = [
            each
            for each in answer.get("FailedSOPSequence") or []
            if each.get("ReferencedSOPInstanceUID") == dataset.SOPInstanceUID
        ]
        if failed:
            raise ArchiveError(
                f"The archive {self.name} refused {path.name} (failure {int(failed[0].get('FailureReason') or 0):04X}H). "
                "It stays in the outbox; ask the archive's administrator."
            )

    @contextmanager
    def _answers(self) -> Iterator[None]:
        """Turn the faults of a connection into sentences."""
        from requests import exceptions

        where = f"The archive {self.name} ({self._settings.url})"
        try:
            yield
        except exceptions.HTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            if status in (401, 403):
                raise ArchiveError(
                    f"{where} refused the user {self._settings.user or '(none)'} ({status}). Check the user name, and "
                    f"the password in {secret_name(self.name, 'PASSWORD')} or in the keyring."
                ) from error
            if status == 404:
                raise ArchiveError(f"{where} does not have it (404). Search again.") from error
            raise ArchiveError(f"{where} answered with the error {status}. Try again later.") from error
        except exceptions.SSLError as error:
            raise ArchiveError(unverified(where)) from error
        except exceptions.Timeout as error:
            raise ArchiveError(
                f"{where} did not answer within {self._settings.timeout_s:g} seconds. Try again later."
            ) from error
        except (exceptions.RequestException, OSError, EOFError) as error:
            if "timed out" in str(error):
                raise ArchiveError(
                    f"{where} did not answer within {self._settings.timeout_s:g} seconds. Try again later."
                ) from error
            raise ArchiveError(f"{where} cannot be reached or broke off. Check the network and try again.") from error
        except (ValueError, KeyError, AttributeError) as error:
            raise ArchiveError(f"{where} gave an answer that cannot be read ({error}). Try again.") from error


def study_entry(found: Dataset) -> StudyEntry:
    """Return a study from the answer to a query.

    Parameters
    ----------
    found : Dataset
        One answer.
    """
    modalities = found.get("ModalitiesInStudy") or ""
    return StudyEntry(
        uid=str(found.StudyInstanceUID),
        patient_id=str(found.get("PatientID") or ""),
        patient_name=str(found.get("PatientName") or "").rstrip("^= "),
        date=str(found.get("StudyDate") or ""),
        description=str(found.get("StudyDescription") or ""),
        modalities=modalities if isinstance(modalities, str) else ", ".join(modalities),
    )


def series_entry(found: Dataset, study_uid: str) -> SeriesEntry:
    """Return a series from the answer to a query.

    Parameters
    ----------
    found : Dataset
        One answer.
    study_uid : str
        Study Instance UID.
    """
    return SeriesEntry(
        uid=str(found.SeriesInstanceUID),
        study_uid=study_uid,
        modality=str(found.get("Modality") or ""),
        number=str(found.get("SeriesNumber") or ""),
        description=str(found.get("SeriesDescription") or ""),
        date=str(found.get("SeriesDate") or ""),
        instances=int(found.get("NumberOfSeriesRelatedInstances") or 0),
    )
