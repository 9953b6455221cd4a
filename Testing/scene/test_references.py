"""A scene opens files of its own bundle only, and nothing from the network."""

from __future__ import annotations

import os
import shutil
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from oncotrack.errors import InputError
from oncotrack.scene.files import storage
from oncotrack.scene.files.storage import open_scene, save_scene
from oncotrack.scene.nodes.volumes import add_volume
from oncotrack.scene.views.application import new_scene


@pytest.fixture
def saved(scene, make_phantom, tmp_path):
    """Save a scene with one volume, whose name has a space."""
    add_volume(scene, make_phantom(name="CT 1"))
    return save_scene(scene, tmp_path / "scene.mrb")


def changed(saved, tmp_path, edit=lambda text: text, extra=()):
    """Return a copy of a saved scene with an edited description and additional files."""
    path = tmp_path / "changed.mrb"
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, edit(content.decode()) if name.endswith(".mrml") else content)
        for name, content in dict(extra).items():
            new.writestr(name, content)
    return path


def refused(path, words):
    """Check that opening a scene is refused and changes nothing."""
    other = new_scene()
    count = other.scene.GetNumberOfNodes()
    with pytest.raises(InputError, match=words):
        open_scene(other.scene, path)
    assert other.scene.GetNumberOfNodes() == count


def test_a_name_with_a_space_is_no_reason_to_refuse(saved):
    other = new_scene()
    open_scene(other.scene, saved)
    assert other.scene.GetFirstNodeByName("CT 1").GetImageData() is not None


@pytest.mark.parametrize(
    "place", ["{folder}/other.nrrd", "../../other.nrrd", "..%2F..%2Fother.nrrd", "..\\..\\other.nrrd"]
)
def test_a_file_outside_the_scene_is_not_read(saved, tmp_path, place):
    shutil.copy(saved, tmp_path / "other.nrrd")
    named = place.format(folder=tmp_path)
    refused(
        changed(saved, tmp_path, lambda text: text.replace('fileName="Data/CT%201.nrrd"', f'fileName="{named}"')),
        "outside the scene",
    )


def test_an_address_is_not_fetched(saved, tmp_path):
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_about):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}/scan.nrrd"
        for scheme in (address, "file:///etc/hostname"):
            path = changed(
                saved, tmp_path, lambda text, to=scheme: text.replace(' fileName="', f' uri="{to}" fileName="', 1)
            )
            refused(path, "reads nothing from addresses")
    finally:
        server.shutdown()
        server.server_close()
    assert asked == []


def test_a_header_in_the_scene_cannot_name_a_file_outside(saved, tmp_path):
    outside = tmp_path / "secret.raw"
    outside.write_bytes(bytes(8))
    nrrd = (
        "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 2 2\nencoding: raw\nspace: left-posterior-superior\n"
        f"space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\ndata file: {outside}\n\n"
    )
    meta = f"ObjectType = Image\nNDims = 3\nDimSize = 2 2 2\nElementType = MET_UCHAR\nElementDataFile = {outside}\n"
    for name, header in (("CT%201.nrrd", nrrd), ("CT 1.nhdr", nrrd), ("a.mhd", meta), ("a.mha", meta)):
        refused(changed(saved, tmp_path, extra={f"scene/Data/{name}": header}), "outside its own folder")


def test_text_that_expands_itself_is_refused(saved, tmp_path):
    entity = '<!DOCTYPE MRML [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>\n<MRML'
    refused(changed(saved, tmp_path, lambda text: text.replace("<MRML", entity, 1)), "entities")


def test_a_reference_before_a_fault_of_the_description_is_found(saved, tmp_path):
    def edit(text):
        return text.replace('fileName="Data/CT%201.nrrd"', 'fileName="/etc/hostname"')[:-20]

    refused(changed(saved, tmp_path, edit), "outside the scene")


def test_a_scene_that_would_fill_the_disk_is_refused_before_it_is_unpacked(saved, tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "_LARGEST_BYTES", 1000)
    refused(saved, "unpacked it takes")


def test_a_pipe_is_no_scene(tmp_path):
    os.mkfifo(tmp_path / "scene.mrb")
    refused(tmp_path / "scene.mrb", "There is no file")
