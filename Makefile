# Each target is a line or two; what has logic lives in a script of its own.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# Most tests wait for processes, so two at a time take little more than half the time, on two cores too.
PARALLEL ?= 2

.PHONY: run test lint bench venv compat nest-mpi lock campaign clean images up campaign-containers campaign-cluster

run: venv
	$(BIN)/reaf run experiments/mouse_reach

test: venv compat
	$(BIN)/pytest -m "not campaign and not containers and not cluster" -n $(PARALLEL) --dist loadfile

lint: venv
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports

campaign: venv
	$(BIN)/pytest -m "campaign and not containers and not cluster"

bench: venv
	$(BIN)/python benchmarks/coupling.py && $(BIN)/python benchmarks/coupling.py --ranks 1 2 4
	$(BIN)/python benchmarks/spikes.py && $(BIN)/python benchmarks/models.py

venv: .venv/installed

.venv/installed: pyproject.toml requirements.lock deploy/make-venv
	deploy/make-venv $(PYTHON)

# Published clients run in environments of their own, as they come.
compat: venv
	deploy/make-compat-env $(basename $(notdir $(wildcard tests/compat/*.txt)))

nest-mpi: venv
	deploy/make-nest-mpi $(NEST_MPI)

lock: venv
	deploy/make-lock
	$(BIN)/python deploy/make-image-locks

# IMAGES="brain job" builds only those, IMAGES=all also those for clusters; PUSH=registry/prefix pushes them.
images:
	deploy/make-images $(IMAGES)

up: images
	docker compose up

campaign-containers: venv
	deploy/with-engine sh -c 'deploy/make-images && deploy/make-images launcher && $(BIN)/pytest -m containers tests/containers'

# On a Slurm of this machine's own; takes root, and the packages named in tests/hpc/minicluster.py.
campaign-cluster: venv
	deploy/with-engine --optional $(BIN)/python tests/hpc/minicluster.py --nodes 4 --accounting --rest -- \
	    $(BIN)/pytest -rs -m cluster tests/hpc

clean:
	rm -rf .venv .compat .pytest_cache .mypy_cache .ruff_cache
