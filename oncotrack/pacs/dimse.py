"""An archive over DIMSE (PS3.7): C-FIND, C-GET or C-MOVE, and C-STORE, with the package pynetdicom."""

from __future__ import annotations

import logging
import queue
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset

from oncotrack.errors import MissingPackageError
from oncotrack.pacs.archive import ArchiveError, Query, SeriesEntry, StudyEntry
from oncotrack.pacs.archives import ArchiveSettings, trust, unverified
from oncotrack.pacs.dicomweb import series_entry, study_entry

_FIND, _GET, _MOVE = (f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 3, 2))
_SYNTAXES = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]
_STORED = (
    *("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.4"),
    *("1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.128", "1.2.840.10008.5.1.4.1.1.130"),
    *("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7", "1.2.840.10008.5.1.4.1.1.481.3"),
    *("1.2.840.10008.5.1.4.1.1.88.22", "1.2.840.10008.5.1.4.1.1.88.33", "1.2.840.10008.5.1.4.1.1.88.34"),
    *("1.2.840.10008.5.1.4.1.1.11.1", "1.2.840.10008.5.1.4.1.1.67", "1.2.840.10008.5.1.4.1.1.7"),
)
"""Storage classes that are asked for: CT, MR and PET, their enhanced forms, and the objects that can be read."""
_PENDING, _SUCCESS = (0xFF00, 0xFF01), 0x0000


class DimseArchive:
    """An archive over DIMSE.

    Parameters
    ----------
    name : str
        Its name in the settings.
    settings : ArchiveSettings
        Its settings.

    Raises
    ------
    MissingPackageError
        pynetdicom is not installed.
    InputError
        The file of certificates in the settings cannot be used.
    """

    def __init__(self, name: str, settings: ArchiveSettings) -> None:
        try:
            import pynetdicom
        except ImportError as error:
            raise MissingPackageError(
                'DIMSE needs the package pynetdicom. Install it: pip install "oncotrack[pacs]".'
            ) from error
        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)  # its messages name patients; faults are raised
        self.name, self._settings, self._package = name, settings, pynetdicom
        self._tls = trust(name, settings)

    def find_studies(self, query: Query) -> list[StudyEntry]:
        """Return the studies that match, newest first.

        Parameters
        ----------
        query : Query
            What is searched for.
        """
        wanted = Dataset()
        wanted.QueryRetrieveLevel = "STUDY"
        wanted.PatientID, wanted.PatientName = query.patient_id, query.patient_name
        wanted.StudyDate, wanted.StudyInstanceUID = query.date, query.study_uid
        wanted.StudyDescription, wanted.ModalitiesInStudy = "", ""
        return sorted(map(study_entry, self._find(wanted)), key=lambda each: each.date, reverse=True)

    def find_series(self, study_uid: str) -> list[SeriesEntry]:
        """Return the series of a study.

        Parameters
        ----------
        study_uid : str
            Study Instance UID.
        """
        wanted = Dataset()
        wanted.QueryRetrieveLevel, wanted.StudyInstanceUID, wanted.SeriesInstanceUID = "SERIES", study_uid, ""
        wanted.Modality, wanted.SeriesNumber, wanted.SeriesDescription, wanted.SeriesDate = "", None, "", ""
        wanted.NumberOfSeriesRelatedInstances = None
        return [series_entry(each, study_uid) for each in self._find(wanted)]

    def find_instances(self, study_uid: str, series_uid: str) -> list[str]:
        """Return the SOP Instance UIDs of a series.

        Parameters
        ----------
        study_uid, series_uid : str
            UIDs.
        """
        wanted = Dataset()
        wanted.QueryRetrieveLevel, wanted.StudyInstanceUID = "IMAGE", study_uid
        wanted.SeriesInstanceUID, wanted.SOPInstanceUID = series_uid, ""
        return [str(each.SOPInstanceUID) for each in self._find(wanted)]

    def retrieve(self, study_uid: str, series_uid: str) -> Iterator[Dataset]:
        """Yield the instances of a series as they arrive.

        Parameters
        ----------
        study_uid, series_uid : str
            UIDs.
        """
        wanted = Dataset()
        wanted.QueryRetrieveLevel, wanted.StudyInstanceUID = "SERIES", study_uid
        wanted.SeriesInstanceUID = series_uid
        arrived: queue.SimpleQueue[Dataset] = queue.SimpleQueue()
        yield from (self._moved if self._settings.retrieve == "move" else self._got)(wanted, arrived)

    def send(self, path: Path) -> None:
        """Store one file.

        Parameters
        ----------
        path : Path
            The file.
        """
        dataset = dcmread(path)
        syntax = str(dataset.file_meta.TransferSyntaxUID)
        with self._association([(str(dataset.SOPClassUID), [syntax])]) as association:
            status = association.send_c_store(dataset)
            self._check(status, f"storing {path.name}")

    def _find(self, wanted: Dataset) -> list[Dataset]:
        with self._association([(_FIND, _SYNTAXES)]) as association:
            return list(self._answers(association.send_c_find(wanted, _FIND), "searching"))

    def _got(self, wanted: Dataset, arrived: queue.SimpleQueue[Dataset]) -> Iterator[Dataset]:
        roles = [self._package.build_role(uid, scp_role=True) for uid in _STORED]
        contexts = [(_GET, _SYNTAXES), *((uid, _SYNTAXES) for uid in _STORED)]
        handlers = [(self._package.evt.EVT_C_STORE, _keep, [arrived])]
        with self._association(contexts, ext_neg=roles, evt_handlers=handlers) as association:
            for _ in self._answers(association.send_c_get(wanted, _GET), "retrieving"):
                yield from _taken(arrived)
        yield from _taken(arrived)

    def _moved(self, wanted: Dataset, arrived: queue.SimpleQueue[Dataset]) -> Iterator[Dataset]:
        receiver = self._entity([(uid, _SYNTAXES) for uid in _STORED], supported=True)
        handlers = [(self._package.evt.EVT_C_STORE, _keep, [arrived])]
        try:
            server = receiver.start_server(("", self._settings.own_port), block=False, evt_handlers=handlers)
        except OSError as error:
            raise ArchiveError(
                f"Port {self._settings.own_port} is in use, so that the archive {self.name} cannot send to it. "
                "Choose another own_port in the settings."
            ) from error
        try:
            with self._association([(_MOVE, _SYNTAXES)]) as association:
                for _ in self._answers(association.send_c_move(wanted, self._settings.own_ae, _MOVE), "retrieving"):
                    yield from _taken(arrived)
            yield from _taken(arrived)
        finally:
            server.shutdown()

    def _answers(self, responses: Any, what: str) -> Iterator[Dataset]:
        """Yield the pending answers; the last one says whether all went well."""
        for status, found in responses:
            if status and status.Status in _PENDING:
                yield found if found is not None else Dataset()
            else:
                self._check(status, what)

    def _check(self, status: Dataset, what: str) -> None:
        if not status:
            raise ArchiveError(
                f"The archive {self.name} broke off while {what}, or did not answer within "
                f"{self._settings.timeout_s:g} seconds. Try again later."
            )
        # B000H to BFFFH are warnings, of which the count of instances decides
        if status.Status != _SUCCESS and status.Status & 0xF000 != 0xB000:
            raise ArchiveError(
                f"The archive {self.name} refused {what} (status {status.Status:04X}H). Ask its administrator."
            )

    def _entity(self, contexts: list[tuple[str, list[str]]], *, supported: bool = False) -> Any:
        entity = self._package.AE(ae_title=self._settings.own_ae)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = self._settings.timeout_s
        entity.connection_timeout = self._settings.timeout_s
        for uid, syntaxes in contexts:
            (entity.add_supported_context if supported else entity.add_requested_context)(uid, syntaxes)
        return entity

    @contextmanager
    def _association(self, contexts: list[tuple[str, list[str]]], **negotiated: Any) -> Iterator[Any]:
        settings = self._settings
        tls = (self._tls, settings.host) if settings.tls else None
        association = self._entity(contexts).associate(
            settings.host, settings.port, ae_title=settings.called_ae, tls_args=tls, **negotiated
        )
        if not association.is_established:
            if settings.tls and (problem := self._certificate_problem()):
                raise ArchiveError(problem)
            why = "refused the connection" if association.is_rejected else "cannot be reached"
            raise ArchiveError(
                f"The archive {self.name} ({settings.host}:{settings.port}, {settings.called_ae}) {why}. Check address "
                f"and titles, and that the archive knows {settings.own_ae}."
            )
        if not association.accepted_contexts:
            association.abort()
            raise ArchiveError(f"The archive {self.name} accepts no object of this kind. Ask its administrator.")
        try:
            yield association
        finally:
            if association.is_established:
                association.release()

    def _certificate_problem(self) -> str:
        """Return why an encrypted connection fails, where the certificate is the reason; pynetdicom does not say it."""
        settings = self._settings
        try:
            with (
                socket.create_connection((settings.host, settings.port), settings.timeout_s) as plain,
                self._tls.wrap_socket(plain, server_hostname=settings.host),
            ):
                return ""
        except ssl.SSLCertVerificationError:
            return unverified(f"The archive {self.name} ({settings.host}:{settings.port})")
        except OSError:
            return ""


def _keep(event: Any, arrived: queue.SimpleQueue[Dataset]) -> int:
    """Take an instance that the archive sends."""
    dataset = event.dataset
    dataset.file_meta = event.file_meta
    arrived.put(dataset)
    return _SUCCESS


def _taken(arrived: queue.SimpleQueue[Dataset]) -> Iterator[Dataset]:
    while not arrived.empty():
        yield arrived.get()
