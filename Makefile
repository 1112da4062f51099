# The two commands of this project are `make demo` and `make test`; both set up .venv first.

PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready

.PHONY: demo test lint soak lock clean

demo: $(READY)
	$(VENV)/bin/streamdyn demo

test: $(READY)
	$(MAKE) --no-print-directory lint
	$(VENV)/bin/pytest -q

lint: $(READY)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

# Half an hour of eight cameras: does memory grow?
soak: $(READY)
	$(VENV)/bin/streamdyn bench streams --only soak

# What is installed is what requirements.lock pins; pyproject.toml says what is needed.
$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed, this is " + sys.version if sys.version_info < (3, 11) else 0)'
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	touch $@

# Pin what is installed now, after trying newer versions by hand. A build of torch without CUDA calls
# itself 2.13.0+cpu; the pin leaves the choice of the build to the package index.
lock:
	echo '# Everything that make installs, at the versions this project is tested with. Made by `make lock`.' > requirements.lock
	$(VENV)/bin/python -m pip freeze --all --exclude pip --exclude-editable | sed 's/+cpu//' >> requirements.lock

clean:
	rm -rf $(VENV) runs build *.egg-info
