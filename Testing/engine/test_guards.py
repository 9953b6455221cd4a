"""Checks of the structure: allowed imports, and completeness of the lists that the Slicer extension is built from."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import pytest

from oncotrack.scene.commands import COMMANDS, FINDINGS, MASKS, NODES, PETCT, RESPONSE, SLICER_KEYS, VIEW, ReaderCommand

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "oncotrack"
MODULES = sorted(
    folder for folder in REPOSITORY.iterdir() if folder.is_dir() and (folder / f"{folder.name}.py").is_file()
)
TOOLS = {"LesionFollowUp": (FINDINGS, RESPONSE, VIEW), "LNTracker": (NODES, PETCT), "RECISTPseudoMask": (MASKS,)}
STANDALONE = (
    "oncotrack",
    "oncotrack.errors",
    "oncotrack.packages",
    "oncotrack.resources",
    "oncotrack.scene",
    "oncotrack.scene.choices",
    "oncotrack.scene.commands",
    "oncotrack.scene.files",
    "oncotrack.scene.files.packages",
)
"""What the desktop modules may import of OncoTrack before its packages are installed."""
FACES = {"scene", "web"}
NOT_IN_SLICER = {"archive", "bench", "cli", "datasets", "evaluation", "report", "training", "web"}
TOOLKITS = {"qt", "ctk", "trame", "trame_client", "trame_server", "trame_slicer", "trame_vuetify"}
SLICER = {"slicer", "slicer_core", "vtk", "vtkmodules"}
BROUGHT = {"highdicom", "numpy", "pydicom", "simpleitk", "torch"}  # by Slicer and by its PyTorch extension
OPTIONAL = {"dicomweb_client", "filelock", "keyring", "pynetdicom", "requests", "tomli"}
"""Of the archives; a missing one is named in a sentence, or replaced by the standard library."""
DISTRIBUTIONS = {
    "cv2": "opencv-python-headless",
    "itk": "itk-elastix",
    "platformdirs": "pooch",  # which requires it
    "skimage": "scikit-image",
    "undo_stack": "py-undo-stack",
}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def imports(path: Path, at_top_only: bool = False) -> frozenset[str]:
    """Return the full names of the modules that a file imports."""
    module = tree(path)
    names = set()
    for node in module.body if at_top_only else ast.walk(module):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names)


def package_of(name: str) -> str:
    """Return the package of oncotrack that a module belongs to, or "" for the modules beside the packages."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and (PACKAGE / parts[1]).is_dir() else ""


def sources(*packages: str) -> list[Path]:
    """Return the Python files of these packages, by default of all."""
    files = sorted(PACKAGE.rglob("*.py"))
    return [file for file in files if not packages or package_of(dotted(file)) in packages]


def dotted(file: Path) -> str:
    parts = file.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def listed(folder: Path) -> set[str]:
    """Return the files that a module's CMakeLists.txt names in its SCRIPTS and RESOURCES."""
    text = (folder / "CMakeLists.txt").read_text(encoding="utf-8")
    lists = re.findall(r"set\(MODULE_PYTHON_(?:SCRIPTS|RESOURCES)(.*?)\)", text, re.DOTALL)
    assert len(lists) == 2, f"{folder.name}/CMakeLists.txt has not both lists"
    return {word.replace("${MODULE_NAME}", folder.name) for part in lists for word in part.split()}


def widgets(folder: Path) -> dict[str, ElementTree.Element]:
    """Return the widgets of a module's .ui files, by object name."""
    roots = [ElementTree.parse(file).getroot() for file in sorted((folder / "Resources" / "UI").glob("*.ui"))]
    return {widget.get("name"): widget for root in roots for widget in root.iter("widget")}


def panel_files(folder: Path) -> list[Path]:
    """Return the module's own file, and those that it imports of what the panels share."""
    own, shared = folder / f"{folder.name}.py", sorted((REPOSITORY / "OncoTrackPanel").glob("*.py"))
    return [own, *(file for file in shared if f"OncoTrackPanel.{file.stem}" in imports(own))]


def literal(folder: Path, name: str) -> dict[str, str]:
    """Return a dictionary of strings that the module's file assigns at its top; empty when it does not."""
    for node in tree(folder / f"{folder.name}.py").body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
            return ast.literal_eval(node.value)
    return {}


def offered(folder: Path) -> dict[str, ReaderCommand]:
    """Return the commands that a module's buttons and check boxes run, by the widget's name."""
    commands = {command.name: command for command in COMMANDS if set(command.tools) & set(TOOLS[folder.name])}
    named = literal(folder, "BUTTONS") | literal(folder, "CHECK_BOXES")
    return {widget: commands[name] for widget, name in named.items()}


def strings(file: Path) -> set[str]:
    """Return the string constants in a file's code."""
    return {
        node.value for node in ast.walk(tree(file)) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def called(folder: Path, *owners: str) -> set[str]:
    """Return the session's attributes that a module uses: through commands, behind `call_session`, and behind `owners`."""
    names, file = (
        {offered(folder)[button].action for button in literal(folder, "BUTTONS")},
        folder / f"{folder.name}.py",
    )
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "call_session":
            names |= {node.args[0].value} if isinstance(node.args[0], ast.Constant) else set()
        elif isinstance(node, ast.Attribute):
            owner = getattr(node.value, "attr", getattr(node.value, "id", ""))
            if owner in owners:
                names.add((f"{owner}." if owner != "session" else "") + node.attr)
    return names


def has(*names: str) -> set[str]:
    """Return methods, properties, signals and attributes of the classes in files of `oncotrack/scene`."""
    found = set()
    for each in (node for name in names for node in tree(PACKAGE / "scene" / f"{name}.py").body):
        if isinstance(each, ast.ClassDef):
            found |= {node.name for node in each.body if isinstance(node, ast.FunctionDef)}
            found |= {node.targets[0].id for node in each.body if isinstance(node, ast.Assign)}
            targets = (node.targets for node in ast.walk(each) if isinstance(node, ast.Assign))
            flat = (part for target in targets for part in getattr(target[0], "elts", target))
            found |= {part.attr for part in flat if isinstance(part, ast.Attribute)}
            found |= {
                node.target.attr
                for node in ast.walk(each)
                if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Attribute)
            }
    return found


def bound(folder: Path) -> set[str]:
    """Return the parameters that widgets are bound to."""
    return {
        prop.findtext("string")
        for widget in widgets(folder).values()
        for prop in widget.findall("property")
        if prop.get("name") == "SlicerParameterName"
    }


def parameters(folder: Path) -> dict[str, ast.AnnAssign]:
    """Return the fields of the module's parameter class."""
    return {
        field.target.id: field
        for node in ast.walk(tree(folder / f"{folder.name}.py"))
        if isinstance(node, ast.ClassDef)
        and any(getattr(each, "id", "") == "parameterNodeWrapper" for each in node.decorator_list)
        for field in node.body
        if isinstance(field, ast.AnnAssign)
    }


def constant(file: Path, name: str):
    """Return the value of a literal that a file assigns at its top."""
    for node in tree(file).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(getattr(target, "id", "") == name for target in targets):
            return node.value if isinstance(node.value, ast.Dict) else ast.literal_eval(node.value)
    raise AssertionError(f"{file.name} assigns no {name}")


def requirements(lines: list[str]) -> dict[str, str]:
    """Return requirement lines by lower-case name."""
    return {re.match(r"[\w.-]+", line).group().lower(): line for line in lines}


def engine_needs() -> dict[str, str]:
    tomllib = pytest.importorskip("tomllib", reason="reading pyproject.toml needs Python 3.11")
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return requirements(project["dependencies"])


def slicer_needs() -> dict[str, str]:
    lines = (PACKAGE / "resources" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return requirements([line for line in lines if line and not line.startswith("#")])


module_folders = pytest.mark.parametrize("folder", MODULES, ids=lambda folder: folder.name)


# imports


def test_the_engine_needs_neither_slicer_nor_a_toolkit():
    script = f"""
import importlib, json, pkgutil, sys
blocked, faces, optional = {SLICER | TOOLKITS!r}, {FACES!r}, {"trackeval", "highdicom", "pydicom"!r}
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in blocked:
            raise ImportError(f"blocked: {{name}}")
sys.meta_path.insert(0, Blocker())
import oncotrack
done, failed = [], {{}}
def visit(package):
    for info in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        if info.name.split(".")[1] in faces:
            continue
        try:
            module = importlib.import_module(info.name)
        except ModuleNotFoundError as error:
            if error.name not in optional:
                failed[info.name] = str(error)
            continue
        except ImportError as error:
            failed[info.name] = str(error)
            continue
        done.append(info.name)
        if info.ispkg:
            visit(module)
visit(oncotrack)
print(json.dumps([done, failed]))
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert run.returncode == 0, run.stderr
    done, failed = json.loads(run.stdout.splitlines()[-1])
    assert not failed
    assert {"oncotrack.findings.finding_list", "oncotrack.followup.selfsim", "oncotrack.cli.app"} <= set(done)


@pytest.mark.parametrize("opened", ["oncotrack.web.viewer", "oncotrack.scene.followup.panel", "oncotrack.cli.app"])
def test_pytorch_is_imported_only_when_it_is_needed(opened):
    if "cli" not in opened and find_spec("trame_slicer") is None:
        pytest.skip("trame-slicer is not installed")
    script = f"import sys, {opened}\nprint('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == "False"


def test_no_file_of_the_engine_names_slicer_or_a_toolkit():
    for file in sources():
        part = package_of(dotted(file))
        allowed = {"scene": SLICER, "web": SLICER | TOOLKITS}.get(part, set())
        named = {name.split(".")[0] for name in imports(file)} & (SLICER | TOOLKITS)
        assert named <= allowed, f"{file} imports {named - allowed}"


def test_only_programs_print():
    for file in sources():
        calls = (node for node in ast.walk(tree(file)) if isinstance(node, ast.Call))
        printing = [call.lineno for call in calls if getattr(call.func, "id", "") == "print"]
        assert not printing or package_of(dotted(file)) in {"cli", "web"}, f"{file} prints in line {printing[0]}"


def test_the_tests_are_no_package():
    assert not list((REPOSITORY / "Testing").rglob("__init__.py")), "a package called Testing collides inside Slicer"


# packages


def test_slicer_installs_what_the_engine_needs_and_slicer_lacks():
    needed = {name: line for name, line in engine_needs().items() if name not in BROUGHT}
    assert slicer_needs() == needed


def test_torch_is_required_in_the_same_version():
    assert constant(PACKAGE / "packages.py", "TORCH") == engine_needs()["torch"]


def test_what_runs_in_slicer_needs_no_other_package():
    provided = {
        *slicer_needs(),
        *BROUGHT,
        *OPTIONAL,
        *SLICER,
        "packaging",
        "pytorchutils",
        "_typeshed",
        "annotated_types",
    }  # the last three come the same way, or with pydantic
    for file in (file for file in sources() if package_of(dotted(file)) not in NOT_IN_SLICER):
        for name in {name.split(".")[0] for name in imports(file)} - {"oncotrack"} - set(sys.stdlib_module_names):
            known = DISTRIBUTIONS.get(name, name).lower()
            assert known in provided, f"{file} imports {name}, which Slicer would not have"


# the Slicer extension


def test_the_extension_builds_every_module_that_exists_and_no_other():
    text = (REPOSITORY / "CMakeLists.txt").read_text(encoding="utf-8")
    assert re.findall(r"^add_subdirectory\((\w+)\)", text, re.MULTILINE) == [folder.name for folder in MODULES]
    assert MODULES


@module_folders
def test_every_file_of_a_module_is_in_its_list_and_the_reverse(folder):
    files = {
        str(file.relative_to(folder).as_posix())
        for file in folder.rglob("*")
        if file.is_file() and file.name != "CMakeLists.txt" and "__pycache__" not in file.parts
    }
    assert listed(folder) == files


@module_folders
def test_every_widget_that_the_code_names_exists(folder):
    names = set(widgets(folder))
    used = {
        node.attr
        for file in panel_files(folder)
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "ui"
    }
    used |= set(offered(folder))
    assert used <= names, f"not in the .ui: {sorted(used - names)}"
    buttons = {name for name, widget in widgets(folder).items() if widget.get("class") == "QPushButton"}
    assert buttons <= used, f"buttons that do nothing: {sorted(buttons - used)}"


@module_folders
def test_the_ui_is_consistent(folder):
    for file in (folder / "Resources" / "UI").glob("*.ui"):
        root = ElementTree.parse(file).getroot()
        names = [element.get("name") for kind in ("widget", "layout", "spacer") for element in root.iter(kind)]
        assert len(names) == len(set(names)), "an object name is used twice"
        declared = {custom.findtext("class") for custom in root.iter("customwidget")}
        used = {widget.get("class") for widget in root.iter("widget")}
        assert {name for name in used if not name.startswith("Q")} == declared
        scene_wide = {connection.findtext("receiver") for connection in root.iter("connection")}
        assert scene_wide == {n for n, w in widgets(folder).items() if w.get("class") == "qMRMLNodeComboBox"}
        buddies = {prop.findtext("cstring") for prop in root.iter("property") if prop.get("name") == "buddy"}
        assert buddies <= set(names)


@module_folders
def test_every_bound_parameter_is_a_field_and_every_field_is_used(folder):
    fields, source = parameters(folder), (folder / f"{folder.name}.py").read_text(encoding="utf-8")
    assert bound(folder) <= set(fields)
    unbound = {name for name in fields if name not in bound(folder)}
    for name in unbound:
        assert re.search(rf"(self\.parameters|parameters)\.{name}\b", source), f"{name} is neither bound nor read"


@module_folders
def test_a_module_imports_without_the_packages_that_slicer_lacks(folder):
    """With stand-ins for Qt and Slicer, everything is blocked but the standard library and `STANDALONE`."""
    script = f"""
import sys
from unittest.mock import MagicMock
brought = {{"ctk", "qt", "slicer", "vtk"}}
allowed, at_startup = set(sys.stdlib_module_names) | brought, set()
class Blocker:
    def find_spec(self, name, path=None, target=None):
        known = name.split(".")[0]
        if known not in allowed | {{"OncoTrackPanel", {folder.name!r}}} and name not in (*{STANDALONE!r}, *at_startup):
            raise ImportError(f"blocked: {{name}}")
sys.meta_path.insert(0, Blocker())
for name in (*brought, "slicer.parameterNodeWrapper", "slicer.ScriptedLoadableModule", "slicer.util"):
    sys.modules[name] = MagicMock()
for name in ("ScriptedLoadableModule", "ScriptedLoadableModuleLogic", "ScriptedLoadableModuleTest", "ScriptedLoadableModuleWidget"):
    made = type(name, (), {{"__init__": lambda self, parent=None: None}})
    setattr(sys.modules["slicer.ScriptedLoadableModule"], name, made)
sys.modules["slicer.util"].VTKObservationMixin = type("VTKObservationMixin", (), {{}})
sys.path[:0] = [{str(folder)!r}, {str(REPOSITORY)!r}]
import {folder.name}
widget = {folder.name}.{folder.name}Widget
print(sorted(name for name in sys.modules if name.startswith("oncotrack")), widget.tools)
missing = [name for name in widget.handlers.values() if not hasattr(widget, name)]
assert not missing, missing
assert set(widget.handlers) <= set(widget.buttons.values())
{folder.name}.{folder.name}(MagicMock())
sample_data, *layout = sys.modules["slicer"].app.connect.call_args_list
assert sample_data.args[0] == "startupCompleted()", "the module offers its sample data then"
at_startup |= {{f"oncotrack.scene.{{name}}" for name in ("views", "views.layout", "views.view_rows")}}
for each in layout:
    assert each.args[0] == "startupCompleted()", "scenes with the layout can be opened before the module is entered"
    each.args[1]()
"""
    run = subprocess.run([sys.executable, "-S", "-c", script], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == f"{sorted(STANDALONE)} {TOOLS[folder.name]}"


def test_a_key_means_the_same_command_everywhere_and_leaves_slicers_own_alone():
    keys = [(command.key, command.name) for command in COMMANDS if command.key]
    twice = {key for key, name in keys if any(key == other and name != another for other, another in keys)}
    assert twice == {"Del"}, "only removing has one key for two commands, which no tool offers together"
    assert not SLICER_KEYS & {key for key, _name in keys}, "slice views use these keys"


def test_every_command_is_in_the_table_once_for_a_tool():
    for tool in {tool for command in COMMANDS for tool in command.tools}:
        of_tool = [command for command in COMMANDS if tool in command.tools]
        for field in ("name", "key"):
            values = [value for command in of_tool if (value := getattr(command, field))]
            assert len(values) == len(set(values)), f"{tool}: a {field} is used twice"
        assert all(command.title and command.tip.endswith(".") for command in of_tool)


@module_folders
def test_a_module_offers_every_command_with_a_key(folder):
    """Except those that only the browser has."""
    with_key = {command.name for command in COMMANDS if command.key and set(command.tools) & set(TOOLS[folder.name])}
    assert with_key - {"swap", "set_window"} <= {command.name for command in offered(folder).values()}


@module_folders
def test_a_module_has_the_classes_that_slicer_looks_for(folder):
    names = {node.name for node in tree(folder / f"{folder.name}.py").body if isinstance(node, ast.ClassDef)}
    assert {folder.name + suffix for suffix in ("", "Widget", "Logic", "Test")} <= names
    source = (folder / f"{folder.name}.py").read_text(encoding="utf-8")
    assert "research use only" in source.lower()


def test_the_follow_up_panel_calls_what_the_session_has():
    folder = REPOSITORY / "LesionFollowUp"
    calls = called(folder, "session")
    response = has("response/response") | {"result"}
    assert calls <= response | has(
        "session/finding_commands", "followup/review_commands", "followup/follow_tasks", "followup/follow_up"
    )
    panels = (PACKAGE / "scene" / name / "panel.py" for name in ("followup", "response"))
    known = set().union(*map(strings, panels)) | {"set_visits"}  # the last one is always possible
    assert {offered(folder)[button].action for button in literal(folder, "BUTTONS")} <= known, "never enabled"


def test_the_detection_panel_calls_what_the_session_has():
    folder = REPOSITORY / "LNTracker"
    methods = has("session/finding_commands", "session/scan_session", "detection/detection") | {
        f"{owner}.{name}"
        for owner, file in (("editor", "tracklet_editor"), ("pet", "pet_image"), ("tumour", "primary_tumour"))
        for name in has(f"detection/{file}")
    }
    assert called(folder, "session", "editor", "pet", "tumour") <= methods
    known = strings(PACKAGE / "scene" / "detection" / "panel.py")
    actions = {command.action.removeprefix("editor.") for command in offered(folder).values()}
    assert actions <= known, "never enabled"


def test_the_mask_panel_calls_what_the_session_has():
    folder = REPOSITORY / "RECISTPseudoMask"
    assert called(folder, "session") <= has(
        "session/finding_commands", "session/scan_session", "masks/mask_editing", "masks/recist"
    )
    known = strings(PACKAGE / "scene" / "masks" / "panel.py")
    assert {command.action for command in offered(folder).values()} <= known, "never enabled"


def test_the_base_class_of_the_panels_calls_only_what_every_session_has():
    shared = REPOSITORY / "OncoTrackPanel" / "panel_widget.py"
    owned = {
        node.attr
        for node in ast.walk(tree(shared))
        if isinstance(node, ast.Attribute) and getattr(node.value, "attr", "") == "session"
    }
    assert {"enter", "leave", "close", "changed"} <= owned
    assert owned <= has("session/finding_commands", "session/scan_session") & has(
        "session/finding_commands", "followup/review_commands", "followup/follow_tasks", "followup/follow_up"
    )


def test_the_icons_have_the_size_that_slicer_requires():
    from PIL import Image

    for file in [PACKAGE / "resources" / "icons" / "OncoTrack.png", *REPOSITORY.glob("*/Resources/Icons/*.png")]:
        with Image.open(file) as icon:
            assert icon.size == (128, 128), file


# the installed tree

_STUBS = """
set(Slicer_USE_FILE ${CMAKE_CURRENT_LIST_DIR}/use.cmake)
set(Slicer_EXTENSION_GENERATE_CONFIG ${CMAKE_CURRENT_LIST_DIR}/use.cmake)
set(Slicer_EXTENSION_CPACK ${CMAKE_CURRENT_LIST_DIR}/use.cmake)
set(Slicer_QTSCRIPTEDMODULES_LIB_DIR lib/Slicer-5.10/qt-scripted-modules)
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR lib/Slicer-5.10/qt-scripted-modules)
function(ctkMacroCompilePythonScript)
  cmake_parse_arguments(MY "NO_INSTALL_SUBDIR;GLOBAL_TARGET"
    "TARGET_NAME;SOURCE_DIR;DESTINATION_DIR;INSTALL_DIR" "SCRIPTS;RESOURCES" ${ARGN})
  if(MY_UNPARSED_ARGUMENTS OR NOT MY_TARGET_NAME OR NOT MY_SCRIPTS OR NOT MY_DESTINATION_DIR)
    message(FATAL_ERROR "ctkMacroCompilePythonScript: wrong arguments ${ARGN}")
  endif()
  foreach(file ${MY_SCRIPTS} ${MY_RESOURCES})
    get_filename_component(folder ${file} DIRECTORY)
    install(FILES ${MY_SOURCE_DIR}/${file} DESTINATION ${MY_INSTALL_DIR}/${folder})
  endforeach()
endfunction()
function(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(MY "WITH_GENERIC_TESTS;WITH_SUBDIR;VERBOSE" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  if(MY_UNPARSED_ARGUMENTS OR NOT MY_NAME)
    message(FATAL_ERROR "slicerMacroBuildScriptedModule: wrong arguments ${ARGN}")
  endif()
  ctkMacroCompilePythonScript(TARGET_NAME ${MY_NAME} SCRIPTS ${MY_SCRIPTS} RESOURCES ${MY_RESOURCES}
    SOURCE_DIR ${CMAKE_CURRENT_SOURCE_DIR} DESTINATION_DIR ${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}
    INSTALL_DIR ${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR} NO_INSTALL_SUBDIR)
endfunction()
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """Install the scripted modules by CMake, with replacements of Slicer's macros, and return their folder."""
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    folder = tmp_path_factory.mktemp("extension")
    (folder / "slicer").mkdir()
    (folder / "slicer" / "SlicerConfig.cmake").write_text(_STUBS)
    (folder / "slicer" / "use.cmake").write_text("")
    toolchain = folder / "no_languages.cmake"
    toolchain.write_text("macro(enable_language)\nendmacro()\n")
    source = folder / "source"
    source.mkdir()
    text = (REPOSITORY / "CMakeLists.txt").read_text(encoding="utf-8")
    # a compiler is not needed to see what is installed
    (source / "CMakeLists.txt").write_text(text.replace("project(OncoTrack)", "project(OncoTrack NONE)"))
    for name in ("oncotrack", "OncoTrackPanel", "Resources", *(each.name for each in MODULES)):
        shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    build = folder / "build"
    for command in (
        ["cmake", "-S", source, "-B", build, f"-DSlicer_DIR={folder / 'slicer'}", "-DBUILD_TESTING=OFF", "-Wno-dev"],
        ["cmake", "--install", build, "--prefix", folder / "installed"],
    ):
        run = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
    return folder / "installed" / "lib" / "Slicer-5.10" / "qt-scripted-modules"


def test_the_installed_modules_find_the_engine_and_its_resources(installed):
    script = (
        f"import sys; sys.path.insert(0, {str(installed)!r}); import oncotrack\n"
        "from oncotrack.packages import required\nfrom oncotrack.samples import catalogue\n"
        "print(oncotrack.__file__, len(required()), len(catalogue()))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=installed, check=False)
    assert run.returncode == 0, run.stderr
    file, packages, samples = run.stdout.split()
    assert Path(file).is_relative_to(installed)
    assert int(packages) == len(slicer_needs())
    assert int(samples) >= 1


def test_everything_that_runs_in_slicer_is_installed(installed):
    for folder in MODULES:
        for file in listed(folder):
            assert (installed / file).is_file(), file
    expected = {file.relative_to(REPOSITORY) for file in sources() if package_of(dotted(file)) not in NOT_IN_SLICER}
    shared = {file.name for file in (REPOSITORY / "OncoTrackPanel").glob("*.py")}
    assert {file.name for file in (installed / "OncoTrackPanel").glob("*.py")} == shared
    there = {file.relative_to(installed) for file in (installed / "oncotrack").rglob("*.py")}
    assert there == expected


def test_slicers_start_takes_at_most_a_tenth_of_a_second_more():
    """The best of five runs: other work on the computer only adds to it."""
    script = REPOSITORY / "Testing" / "slicer" / "tests" / "measure_start.py"
    seconds = []
    for _ in range(5):
        run = subprocess.run([sys.executable, "-S", script], capture_output=True, text=True, check=True)
        seconds.append(float(run.stdout.splitlines()[-1].split()[1]))
        if seconds[-1] <= 0.1:
            return
    raise AssertionError(f"{min(seconds):.3f} s")


# Qt 6 and Slicer 5.12

OUTDATED = {
    r"\bqt\.QTime\b": "QTime no longer measures; use time.monotonic",
    r"\.setMargin\(": "layouts have setContentsMargins",
    r"\bqt\.QDesktopWidget\b": "use the screen of a widget",
    r"buttonClicked\(int\)": "use idClicked(int)",
    r"\bqt\.QThread\b": "it is unsafe with Python; use oncotrack.background",
    r"\bqt\.QRegExp\b": "use qt.QRegularExpression",
    r"^\s*(import|from) imp\b": "use importlib",
}
"""What is gone or unsafe in Qt 6 and in Slicer from 5.12, and what to use."""


@pytest.mark.parametrize("pattern", OUTDATED)
def test_slicers_modules_use_nothing_that_qt_6_or_new_slicers_lack(pattern):
    files = [
        *(REPOSITORY / "OncoTrackPanel").rglob("*.*"),
        *(file for folder in MODULES for file in folder.rglob("*.*")),
        *(PACKAGE / "scene").rglob("*.py"),
        *(REPOSITORY / "Testing" / "slicer" / "tests").glob("*.py"),
    ]
    found = [
        f"{file.relative_to(REPOSITORY)}:{number}"
        for file in files
        if file.suffix in (".py", ".ui")
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(pattern, line)
    ]
    assert not found, f"{OUTDATED[pattern]}: {', '.join(found)}"


@module_folders
def test_a_module_imports_at_its_top_only_what_slicer_brings(folder):
    """The Extensions Index asks for it: the standard library, Slicer's own, numpy and scipy, and the extension itself."""
    allowed = (
        set(sys.stdlib_module_names)
        | SLICER
        | {"qt", "ctk", "SimpleITK", "numpy", "scipy", "oncotrack", "OncoTrackPanel"}
    )
    for file in panel_files(folder):
        assert {name.split(".")[0] for name in imports(file, at_top_only=True)} <= allowed, file


# the tests in Slicer


def test_the_tests_in_slicer_use_widgets_that_exist():
    for file in sorted((REPOSITORY / "Testing" / "slicer" / "tests").glob("test_*.py")):
        modules = [
            name for name in (each.name for each in MODULES) if re.search(rf'module = "{name}"', file.read_text())
        ]
        names = set().union(*(set(widgets(REPOSITORY / name)) for name in modules or [each.name for each in MODULES]))
        used = {
            node.attr
            for node in ast.walk(tree(file))
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "ui"
        }
        assert used <= names, f"{file.name}: {sorted(used - names)}"


def test_without_slicer_its_tests_are_skipped_with_one_line():
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    run = subprocess.run(
        ["make", "--no-print-directory", "test-slicer"], capture_output=True, text=True, cwd=REPOSITORY, check=True
    )
    assert run.stdout.startswith("Skipped: there is no 3D Slicer") and run.stdout.count("\n") == 1


def test_tips_are_plain_text():
    """The key is written after the tip, which would be outside its last tag."""
    assert not [command.name for command in COMMANDS if "<" in command.tip]
    for folder in MODULES:
        for file in (folder / "Resources" / "UI").glob("*.ui"):
            tips = [
                prop.findtext("string") or ""
                for prop in ElementTree.parse(file).iter("property")
                if prop.get("name") == "toolTip"
            ]
            assert not [tip for tip in tips if "<" in tip]
