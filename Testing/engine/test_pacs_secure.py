"""Passwords from the keyring, and encrypted connections: certificates are checked unless the settings say otherwise."""

from __future__ import annotations

import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
import warnings

import pytest

from oncotrack.bench import orthanc as peer
from oncotrack.errors import InputError
from oncotrack.pacs.archive import ArchiveError, Query
from oncotrack.pacs.archives import ArchiveSettings, secret
from oncotrack.pacs.connect import connect

keyring = pytest.importorskip("keyring")
pytest.importorskip("dicomweb_client")
pytest.importorskip("pynetdicom")
WEB = ArchiveSettings(kind="dicomweb", url="https://x", user="reader")


@pytest.fixture
def kept():
    """Return the passwords of a keyring in memory, by service and user."""
    from keyring.backend import KeyringBackend

    passwords: dict[tuple[str, str], str] = {}

    class InMemory(KeyringBackend):
        """A backend as the package keyring wants it."""

        priority = 1  # pyright: ignore[reportAssignmentType]

        def get_password(self, service, username):
            return passwords.get((service, username))

        def set_password(self, service, username, password):
            passwords[service, username] = password

    before = keyring.get_keyring()
    keyring.set_keyring(InMemory())
    yield passwords
    keyring.set_keyring(before)
    passwords.clear()  # the package goes on asking every backend that was ever defined


def test_passwords_and_tokens_come_from_the_keyring(kept):
    keyring.set_password("oncotrack clinic", "reader", "of the keyring")
    assert kept == {("oncotrack clinic", "reader"): "of the keyring"}
    assert secret("clinic", WEB, "PASSWORD") == "of the keyring"
    assert secret("ward", WEB, "PASSWORD") == ""
    keyring.set_password("oncotrack clinic", "token", "a token")
    assert secret("clinic", ArchiveSettings(kind="dicomweb", url="https://x"), "TOKEN") == "a token"


def test_the_environment_comes_before_the_keyring(kept, monkeypatch):
    keyring.set_password("oncotrack clinic", "reader", "of the keyring")
    monkeypatch.setenv("ONCOTRACK_PACS_CLINIC_PASSWORD", "of the environment")
    assert secret("clinic", WEB, "PASSWORD") == "of the environment"


def test_a_password_is_no_token(kept):
    """A token is sent instead of user and password, so the password must never be taken for one."""
    keyring.set_password("oncotrack clinic", "reader", "of the keyring")
    assert secret("clinic", WEB, "TOKEN") == ""


def test_a_keyring_that_is_locked_gives_no_password(monkeypatch):
    from keyring.backends.fail import Keyring

    before = keyring.get_keyring()
    keyring.set_keyring(Keyring())
    try:
        assert secret("clinic", WEB, "PASSWORD") == ""
    finally:
        keyring.set_keyring(before)


def test_an_archive_takes_the_password_of_the_keyring(kept, orthanc):
    there = connect("clinic", ArchiveSettings(**orthanc.settings()))
    with pytest.raises(ArchiveError, match=r"refused the user reader \(401\).*or in the keyring"):
        there.find_studies(Query(patient_id="P1"))
    keyring.set_password("oncotrack clinic", peer.USER, peer.PASSWORD)
    assert connect("clinic", ArchiveSettings(**orthanc.settings())).find_studies(Query(patient_id="P1")) == []


# encrypted connections


def certificate(folder, name: str, where: str = "IP:127.0.0.1"):
    """Return a file with a new certificate, which vouches for itself, and its private key."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the program openssl")
    key, path = folder / f"{name}.key", folder / f"{name}.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
         "-addext", f"subjectAltName={where}", "-keyout", key, "-out", path],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_text(key.read_text() + path.read_text())
    return path


class Encrypted(socketserver.BaseRequestHandler):
    """Decrypts a connection and passes it on, as hospitals put a server in front of an archive."""

    def handle(self):
        try:
            near = self.server.context.wrap_socket(self.request, server_side=True)
        except (ssl.SSLError, OSError):
            return
        with near, socket.create_connection(("127.0.0.1", self.server.behind)) as far:
            back = threading.Thread(target=pass_on, args=(far, near), daemon=True)
            back.start()
            pass_on(near, far)
            back.join(5)


def pass_on(source, target):
    """Copy what arrives until the connection ends."""
    try:
        while content := source.recv(65536):
            target.sendall(content)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


class Front(socketserver.ThreadingTCPServer):
    """A server that encrypts what an archive on another port says."""

    daemon_threads = True

    def __init__(self, path, behind: int):
        self.behind, self.context = behind, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(path)
        super().__init__(("127.0.0.1", 0), Encrypted)
        threading.Thread(target=self.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """Return the file of the certificate of the archive."""
    return certificate(tmp_path_factory.mktemp("certificates"), "archive")


@pytest.fixture(scope="module")
def fronts(orthanc, known):
    """Return the settings of the same archive, encrypted, over DICOMweb and over DIMSE."""
    web, dimse = Front(known, orthanc.http), Front(known, orthanc.dicom)
    yield {
        "dicomweb": orthanc.settings(url=f"https://127.0.0.1:{web.server_address[1]}/dicom-web"),
        "dimse": orthanc.settings("dimse", port=dimse.server_address[1], tls=True),
    }
    for each in (web, dimse):
        each.shutdown()
        each.server_close()


@pytest.fixture(params=["dicomweb", "dimse"])
def reach(request, fronts, monkeypatch):
    """Return a function that asks the archive, with the given settings."""
    monkeypatch.setenv("ONCOTRACK_PACS_CLINIC_PASSWORD", peer.PASSWORD)
    usual = fronts[request.param]

    def ask(host="127.0.0.1", **changes):
        there = {
            key: value.replace("127.0.0.1", host) if key in ("url", "host") else value for key, value in usual.items()
        }
        return connect("clinic", ArchiveSettings(**there, **changes)).find_studies(Query(patient_id="P1"))

    return ask


def test_a_certificate_that_nobody_vouches_for_is_refused(reach):
    with pytest.raises(ArchiveError, match=r"has a certificate that cannot be verified, so nothing was sent.*verify"):
        reach()


def test_the_certificate_in_the_settings_is_accepted(reach, known):
    assert reach(verify=str(known)) == []


def test_another_certificate_in_the_settings_is_refused(reach, tmp_path):
    with pytest.raises(ArchiveError, match="cannot be verified"):
        reach(verify=str(certificate(tmp_path, "another")))


def test_it_is_not_checked_only_where_the_settings_say_so(reach):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # urllib3 warns of it, rightly
        assert reach(verify=False) == []


def test_the_settings_count_and_not_the_environment(reach, known, tmp_path, monkeypatch):
    """The package requests would take the bundle of the environment instead of the file in the settings."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate(tmp_path, "another")))
    assert reach(verify=str(known)) == []


def test_a_file_of_certificates_that_is_missing_is_named(reach, tmp_path):
    with pytest.raises(InputError, match=r"none\.pem.*verify"):
        reach(verify=str(tmp_path / "none.pem"))
    (tmp_path / "empty.pem").write_text("no certificate")
    with pytest.raises(InputError, match=r"empty\.pem.*verify"):
        reach(verify=str(tmp_path / "empty.pem"))


def test_a_certificate_for_another_address_is_refused(reach, known):
    with pytest.raises(ArchiveError, match="cannot be verified"):
        reach(host="localhost", verify=str(known))
