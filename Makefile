# make train   train the default arm and export its policy; again after Ctrl-C to go on
# make test    check code and documentation, then run the tests; `make test-long` runs those that take minutes
# make docs    build the documentation into site/
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
ARGS ?=

.PHONY: train test test-long check docs test-jazzy clean

train: $(VENV)/run.stamp
	@$(VENV)/bin/sac_ros train $(ARGS)

# What runs over DDS has the machine to itself; the rest is spread over two processes. Both parts
# run, whatever the first one finds.
test: check
	@status=0; \
	$(VENV)/bin/python -m pytest -q -rs -n 2 --dist loadfile test/unit test/replay $(ARGS) || status=$$?; \
	$(VENV)/bin/python -m pytest -q -rs test/ros test/faults $(ARGS) || status=$$?; \
	exit $$status

test-long: $(VENV)/dev.stamp
	$(VENV)/bin/python -m pytest -q -rs -m long $(ARGS)

check: $(VENV)/dev.stamp
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-logo
	@$(MAKE) --no-print-directory docs

# The documentation, into site/. Any warning is an error; nothing is fetched.
docs: $(VENV)/dev.stamp
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet

# The node tests on ROS 2 Jazzy, in an environment of its own.
test-jazzy: .venv-jazzy/jazzy.stamp
	.venv-jazzy/bin/python -m pytest -q -rs test/ros test/faults $(ARGS)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

.venv-jazzy/bin/python:
	$(PYTHON) -m venv .venv-jazzy

$(VENV)/dev.stamp: requirements/dev-no-deps.txt

$(VENV)/run.stamp $(VENV)/dev.stamp: $(VENV)/%.stamp: $(VENV)/bin/python requirements/%.txt requirements/constraints*.txt setup.py
	@echo "installing requirements/$*.txt into $(VENV), which takes a minute or two"
	$(VENV)/bin/pip install -q --disable-pip-version-check -r requirements/$*.txt
	@[ ! -f requirements/$*-no-deps.txt ] || \
	$(VENV)/bin/pip install -q --disable-pip-version-check --no-deps -r requirements/$*-no-deps.txt
	$(VENV)/bin/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv-jazzy/jazzy.stamp: .venv-jazzy/bin/python requirements/jazzy.txt requirements/constraints*.txt setup.py
	@echo "installing requirements/jazzy.txt into .venv-jazzy, which takes a minute or two"
	.venv-jazzy/bin/pip install -q --disable-pip-version-check -r requirements/jazzy.txt
	.venv-jazzy/bin/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

clean:
	rm -rf $(VENV) .venv-jazzy build install log site
