"""An archive over DICOMweb and DIMSE: search, retrieve, send, the outbox, and every fault in a sentence."""

from __future__ import annotations

import errno
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pydicom
import pytest
from dicom_visits import ORIENTATIONS, write_visits

from oncotrack.bench import orthanc as peer
from oncotrack.dicom_objects.export import export, save
from oncotrack.dicom_objects.importing import import_objects
from oncotrack.errors import Cancelled, InputError, OutputError
from oncotrack.images.dicom import load_study, read
from oncotrack.pacs.archive import ArchiveError, Query, SeriesEntry
from oncotrack.pacs.archives import ArchiveSettings, choose, read_archives
from oncotrack.pacs.connect import connect
from oncotrack.pacs.outbox import Outbox
from oncotrack.pacs.retrieve import retrieve_series

pytest.importorskip("dicomweb_client")
pytest.importorskip("pynetdicom")


@pytest.fixture(autouse=True)
def secrets(monkeypatch, tmp_path):
    monkeypatch.setenv("ONCOTRACK_PACS_TEST_PASSWORD", peer.PASSWORD)
    monkeypatch.setenv("ONCOTRACK_CONFIG", str(tmp_path / "config"))


@pytest.fixture(scope="module")
def visits(tmp_path_factory):
    return write_visits(tmp_path_factory.mktemp("visits"))


@pytest.fixture(scope="module")
def objects(visits, tmp_path_factory):
    result = export(visits.findings.time_points, visits.findings.findings, visits.scans)
    return save(result.objects, tmp_path_factory.mktemp("objects"))


def archive(server, kind="dicomweb", **changes):
    return connect("test", ArchiveSettings(**server.settings(kind, **changes)))


class Standing:
    """An archive in this process whose behaviour a test chooses; it stands for faults that no real archive shows on demand."""

    name = "standing"

    def __init__(self, listed=(), sent=(), fails=None):
        self.listed, self.sent, self.fails, self.stored = list(listed), list(sent), fails, []

    def find_instances(self, study, series):
        return self.listed or [d.SOPInstanceUID for d in self.stored]

    def retrieve(self, study, series):
        yield from self.sent
        if self.fails:
            raise self.fails

    def send(self, path):
        if self.fails:
            raise self.fails
        self.stored.append(pydicom.dcmread(path, stop_before_pixels=True))


SERIES = SeriesEntry("1.2.3", "1.2", "CT", description="Chest")


# with a real archive


@pytest.mark.parametrize(
    ("orientation", "kind"),
    [*((each, "dicomweb") for each in ORIENTATIONS), ("flipped", "get"), ("flipped", "move")],
)
def test_findings_return_from_the_archive(orthanc, tmp_path, orientation, kind):
    orthanc.clear()
    visits = write_visits(tmp_path / "scans", ORIENTATIONS[orientation])
    there = archive(orthanc) if kind == "dicomweb" else archive(orthanc, "dimse", retrieve=kind)
    outbox = Outbox("test", tmp_path / "outbox")
    dates = ("20250101", "20250305")[: 2 if (orientation, kind) == ("axial", "dicomweb") else 1]
    for folder in visits.folders[: len(dates)]:
        if kind == "dicomweb":
            outbox.add(sorted(folder.glob("*.dcm")))
        else:
            orthanc.upload(folder)
    scans = dict(list(visits.scans.items())[: len(dates)])
    written = export(visits.findings.time_points, visits.findings.findings, scans)
    outbox.add(save(written.objects, tmp_path / "objects"))
    assert outbox.send(there).waiting == 0
    studies = there.find_studies(Query(patient_name="Doe*"))
    assert [each.date for each in studies] == sorted(dates, reverse=True)
    assert there.find_studies(Query(patient_id="P2")) == []
    for study in studies:
        series = there.find_series(study.uid)
        assert sorted(each.modality for each in series if each.modality != "SEG") == ["CT", "SR", "SR"]
        for each in series:
            retrieve_series(there, each, tmp_path / "back" / study.date)
    opened = [load_study(tmp_path / "back" / date).choose() for date in dates]
    back = import_objects([tmp_path / "back"], [(read(each), each) for each in opened])
    assert back.problems == ()
    for before in visits.findings:
        after = back.findings[before.uid]
        for time_point in scans:
            seen = before.observation(time_point)
            if seen.mask is not None:
                again = after.observation(time_point)
                assert again.mask.is_same(seen.mask)
                assert again.long_axis.length_mm == pytest.approx(seen.long_axis.length_mm, abs=0.1)
                assert again.short_axis.length_mm == pytest.approx(seen.short_axis.length_mm, abs=0.1)


def test_a_wrong_password_is_named_without_the_password(orthanc, monkeypatch):
    monkeypatch.setenv("ONCOTRACK_PACS_TEST_PASSWORD", "something else")
    with pytest.raises(ArchiveError, match=r"refused the user reader \(401\).*ONCOTRACK_PACS_TEST_PASSWORD") as error:
        archive(orthanc).find_studies(Query(patient_id="P1"))
    assert "something else" not in str(error.value)


def test_objects_wait_while_the_archive_is_down_and_are_sent_once(orthanc, objects, tmp_path):
    orthanc.clear()
    outbox = Outbox("test", tmp_path)
    orthanc.stop()
    try:
        outbox.add(objects)
        result = outbox.send(archive(orthanc))
        assert result.sent == 0 and result.waiting == len(objects) and "cannot be reached" in result.problem
    finally:
        orthanc.start()
    assert outbox.add(objects) == 0
    assert outbox.send(archive(orthanc)).sent == len(objects)
    assert outbox.waiting == [] and outbox.send(archive(orthanc)).sent == 0
    assert len(orthanc.instances()) == len(objects)


def test_a_program_killed_while_sending_loses_and_doubles_nothing(orthanc, objects, tmp_path):
    orthanc.clear()
    settings = tmp_path / "config" / "archives.toml"
    settings.parent.mkdir()
    settings.write_text("[test]\n" + "\n".join(f"{k} = {json.dumps(v)}" for k, v in orthanc.settings().items()))
    program = (
        "import time, oncotrack.pacs.dicomweb as web\n"
        "from oncotrack.pacs.archives import read_archives\nfrom oncotrack.pacs.connect import connect\n"
        "from oncotrack.pacs.outbox import Outbox\n"
        "send, count = web.DicomWebArchive.send, 0\n"
        "def slow(self, path):\n"
        "    global count\n"
        "    send(self, path)\n"
        "    count += 1\n"
        "    if count == 3:\n"
        "        print('third', flush=True)\n"
        "        time.sleep(60)\n"
        "web.DicomWebArchive.send = slow\n"
        f"Outbox('test', {str(tmp_path / 'outbox')!r}).send(connect('test', read_archives()['test']))\n"
    )
    outbox = Outbox("test", tmp_path / "outbox")
    outbox.add(objects)
    running = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert running.stdout.readline() == "third\n"
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert len(outbox.waiting) == len(objects) - 2
    there = archive(orthanc)
    sent = []
    there.send = lambda path, send=there.send: (sent.append(path), send(path))
    assert outbox.send(there).waiting == 0
    assert len(sent) == len(objects) - 3  # the third one was there already
    uids = orthanc.instances()
    assert len(uids) == len(set(uids)) == len(objects)


def test_the_commands_search_retrieve_and_send(orthanc, oncotrack, objects, visits, tmp_path):
    orthanc.clear()
    settings = tmp_path / "archives.toml"
    settings.write_text("[test]\n" + "\n".join(f"{k} = {json.dumps(v)}" for k, v in orthanc.settings().items()))
    common = ("--settings", settings)
    done = oncotrack("pacs", "send", *visits.folders, *objects, *common)
    assert done.code == 0 and "sent to test, 0 waiting" in done.err
    done = oncotrack("pacs", "list", "--patient", "P1", "--json", "-", *common)
    studies = json.loads(done.out)["studies"]
    assert [each["date"] for each in studies] == ["20250305", "20250101"]
    done = oncotrack("pacs", "list", "--study", studies[0]["uid"], *common)
    assert "OncoTrack measurements" in done.out
    done = oncotrack("pacs", "get", studies[0]["uid"], "--out", tmp_path / "got", *common)
    assert done.code == 0 and len(list((tmp_path / "got").iterdir())) == 4
    done = oncotrack("pacs", "get", studies[0]["uid"], "--series", "1.2", "--out", tmp_path / "no", *common)
    assert done.code == 2 and "no such series" in done.err and not (tmp_path / "no").exists()
    assert "Nothing to search for" in oncotrack("pacs", "list", *common).err


# faults


def test_an_archive_that_is_down_is_named():
    port = peer.free_port()
    there = connect("test", ArchiveSettings(kind="dicomweb", url=f"http://127.0.0.1:{port}/dicom-web", timeout_s=2))
    with pytest.raises(ArchiveError, match="cannot be reached"):
        there.find_studies(Query(patient_id="P1"))
    there = connect("test", ArchiveSettings(kind="dimse", host="127.0.0.1", port=port, timeout_s=2))
    with pytest.raises(ArchiveError, match="cannot be reached"):
        there.find_studies(Query(patient_id="P1"))


class Slow(http.server.BaseHTTPRequestHandler):
    """Answers late; the retrieve breaks off in the middle."""

    def do_GET(self):
        if "/series/" in self.path and "instances" not in self.path:
            self.send_response(200)
            self.send_header("Content-Type", 'multipart/related; type="application/dicom"; boundary=b')
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"--b\r\nContent-Type: application/dicom\r\n\r\nhalf")
            return
        if "instances" in self.path:
            answer = json.dumps([{"00080018": {"vr": "UI", "Value": ["1.2.3.4"]}}]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/dicom+json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
            return
        time.sleep(1.0)

    def log_message(self, *_):
        pass


@pytest.fixture
def slow():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield connect("test", ArchiveSettings(kind="dicomweb", url=f"http://127.0.0.1:{server.server_port}", timeout_s=0.3))
    server.shutdown()


def test_an_archive_that_is_slow_is_named(slow):
    with pytest.raises(ArchiveError, match=r"did not answer within 0\.3 seconds"):
        slow.find_studies(Query(patient_id="P1"))


def test_a_retrieve_that_breaks_off_leaves_nothing(slow, tmp_path):
    with pytest.raises(ArchiveError, match="broke off"):
        retrieve_series(slow, SERIES, tmp_path)
    assert list(tmp_path.iterdir()) == []


def slices(visits):
    return [pydicom.dcmread(path) for path in visits.series[0].files]


def test_half_a_series_is_not_kept(visits, tmp_path):
    there = slices(visits)
    half = Standing([d.SOPInstanceUID for d in there], there[: len(there) // 2])
    with pytest.raises(ArchiveError, match="sent 6 of 12 images of the series Chest; nothing was kept"):
        retrieve_series(half, SERIES, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_instances_that_arrive_twice_are_kept_once(visits, tmp_path):
    there = slices(visits)
    folder = retrieve_series(Standing([d.SOPInstanceUID for d in there], [*there, *there[:5]]), SERIES, tmp_path)
    assert len(list(folder.iterdir())) == len(there) == 12
    again = retrieve_series(Standing([d.SOPInstanceUID for d in there], there), SERIES, tmp_path)
    assert again == folder and len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_leaves_nothing(visits, tmp_path, monkeypatch):
    there = slices(visits)
    written = []

    def fails(self, path, **_):
        written.append(path)
        if len(written) > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        Path(path).write_bytes(b"x")

    monkeypatch.setattr(pydicom.dataset.FileDataset, "save_as", fails)
    with pytest.raises(OutputError, match=r"No space left on device\. Nothing was kept"):
        retrieve_series(Standing([d.SOPInstanceUID for d in there], there), SERIES, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_cancelled_retrieve_leaves_nothing(visits, tmp_path):
    there = slices(visits)

    def progress(fraction, _text):
        if fraction > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        retrieve_series(Standing([d.SOPInstanceUID for d in there], there), SERIES, tmp_path, progress)
    assert list(tmp_path.iterdir()) == []


def test_two_programs_do_not_send_from_one_outbox(objects, tmp_path):
    outbox = Outbox("standing", tmp_path)
    outbox.add(objects)
    inner = []

    class Nested(Standing):
        def send(self, path):
            with pytest.raises(OutputError, match="Another program is sending"):
                Outbox("standing", tmp_path).send(Standing())
            inner.append(path)

    assert outbox.send(Nested()).sent == len(objects) == len(inner)


def test_what_is_no_dicom_does_not_enter_the_outbox(objects, tmp_path):
    (tmp_path / "note.dcm").write_text("no")
    outbox = Outbox("standing", tmp_path / "outbox")
    with pytest.raises(InputError, match=r"note\.dcm is no DICOM file"):
        outbox.add([*objects, tmp_path / "note.dcm"])
    assert outbox.waiting == []


def test_logs_name_no_patient(visits, objects, tmp_path, caplog, slow):
    caplog.set_level(0)
    with pytest.raises(ArchiveError):
        slow.find_studies(Query(patient_name="Doe^Jane"))
    outbox = Outbox("standing", tmp_path)
    outbox.add(objects)
    assert all("Doe" not in path.name for path in outbox.waiting)
    outbox.send(Standing())
    assert "Doe" not in caplog.text


# settings


def test_settings_are_read_and_faults_in_them_named(tmp_path, monkeypatch):
    path = tmp_path / "archives.toml"
    with pytest.raises(InputError, match="There are no archives yet"):
        read_archives(path)
    path.write_text('[a]\nkind = "dicomweb"\nurl = "https://x"\n[b]\nkind = "dimse"\nhost = "h"\n')
    found = read_archives(path)
    assert found["a"].verify is True and choose(found, "b")[1].host == "h"
    with pytest.raises(InputError, match="There are several archives; choose one of a, b"):
        choose(found)
    for text, message in (
        ('[a]\nkind = "other"', r"a\.kind is not valid"),
        ('[a]\nkind = "dicomweb"', "the archive a needs url"),
        ('[a]\nkind = "dicomweb"\nurl = "x"\ncolour = 1', r"a\.colour is not valid"),
        ('[a]\nkind = "dicomweb"\nurl = "x"\npassword = "y"', "a holds a password"),
        ("[a", "cannot be read"),
        ("", "names no archive"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read_archives(path)
