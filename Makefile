# Three commands to know: `make demo`, `make test`, `make docs`. Each sets up what it needs in .venv.
PYTHON ?= python3
BIN    := .venv/bin
PIP    := PIP_CONSTRAINT=$(CURDIR)/constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/pip install --quiet

.PHONY: help demo test lint docs bench bench-images bench-stacked bench-points bench-translation bench-large bench-tables bench-private-tables bench-series bench-anomaly bench-augmentation bench-elastic bench-metrics bench-quality bench-samples bench-scaling bench-speed zoo coach gpu-check clean

help:            ## What there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.venv/core: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) -e .
	@touch $@

.venv/dev: .venv/core
	$(PIP) -e '.[dev]'
	@touch $@

.venv/docs: .venv/core
	$(PIP) -e '.[docs]'
	@touch $@

demo: .venv/core ## Set up and train on real scanned digits, on the CPU, about two minutes; ends with pictures
	$(BIN)/sparring train digits --run runs/demo

# One thread a process: two test processes with two threads each would wait for one another on two cores.
test: .venv/dev lint ## Set up and run every check and test
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/docs ## Build the documentation into site/
	$(BIN)/zensical build --strict

bench: .venv/dev ## The longer proofs; results are kept in docs/results/
	$(BIN)/python benchmarks/resume_torture.py

# DATA: a folder with the four original files of MNIST.
bench-images: .venv/dev ## Every image family on MNIST for the same CPU minutes: make bench-images DATA=folder
	$(BIN)/python benchmarks/images.py $(DATA)

bench-stacked: .venv/dev ## Modes of Stacked-MNIST in 30 CPU minutes: make bench-stacked DATA=folder
	$(BIN)/python benchmarks/stacked_mnist.py $(DATA)

bench-points: .venv/dev ## Modes of the ring and the grid of Gaussians, three families, three seeds
	$(BIN)/python benchmarks/gaussians.py --report

# DATA: a folder with facades/, horse2zebra/, super_resolution/, cats64/ and weights/.
bench-translation: .venv/dev ## Pictures from pictures, each beside what it has to beat: make bench-translation DATA=folder
	$(BIN)/python benchmarks/translation.py $(DATA)

bench-large: .venv/dev ## A picture of 3000x2000 at 16 bits, four times larger in bounded memory: tiles beside the whole
	$(BIN)/python benchmarks/apply_large.py --report

# DATA: a folder with the tables that benchmarks/tables.py names.
bench-tables: .venv/dev ## Synthetic tables beside real ones, tvae and independent columns: make bench-tables DATA=folder
	$(BIN)/python benchmarks/tables.py $(DATA)

bench-private-tables: .venv/dev ## Utility against privacy on Adult, epsilon 1, 3, 10 and none: make bench-private-tables DATA=folder
	$(BIN)/python benchmarks/private_tables.py $(DATA)

# DATA: a folder with google_stock.csv.gz and monthly-sunspots.csv.gz.
bench-series: .venv/dev ## Stock prices and sunspots in windows, beside baselines: make bench-series DATA=folder
	$(BIN)/python benchmarks/series.py $(DATA)

# DATA: a folder with mnist/, magnetic_tile/ and anomaly_tabular/.
bench-anomaly: .venv/dev ## fanogan beside PCA and k-NN: make bench-anomaly DATA=folder
	$(BIN)/python benchmarks/anomaly.py $(DATA)

# DATA: a folder with the four original files of MNIST; PNEUMONIA: pneumoniamnist.npz.
bench-augmentation: .venv/dev ## Whether samples help a classifier: make bench-augmentation DATA=folder PNEUMONIA=file
	$(BIN)/python benchmarks/augmentation.py $(DATA) $(PNEUMONIA)

bench-elastic: .venv/dev ## Workers killed under torchrun, twenty times; each run ends where one in peace ends
	$(BIN)/python benchmarks/elastic.py --runs 20 --report

bench-metrics: .venv/dev ## Agreement with public packages, speed of the Fréchet distance
	$(BIN)/python benchmarks/parity.py
	$(BIN)/python benchmarks/parity_images.py
	$(BIN)/python benchmarks/parity_networks.py
	$(BIN)/python benchmarks/frechet.py

# WORKERS: runs at a time, one thread each. Finished runs are kept: stop at any time and say it again.
WORKERS ?= 2
zoo: .venv/dev ## Provoked failures and healthy runs, what the referee says of them: SPARRING_TEST_DATA=folder make zoo
	PYTHONPATH=benchmarks $(BIN)/python -m zoo coach --workers $(WORKERS) --write docs/results/referee.md

coach: .venv/dev ## Which failing runs the coach brings back
	PYTHONPATH=benchmarks $(BIN)/python -m zoo.coached

bench-quality: .venv/dev ## How soon the quality of the tutorial is reached on Fashion-MNIST: make bench-quality DATA=folder
	$(BIN)/python benchmarks/time_to_quality.py $(DATA) --report

# DATA: a folder with the four original files of MNIST.
bench-samples: .venv/dev ## A million samples in shards, beside the bare forward pass: make bench-samples DATA=folder
	$(BIN)/python benchmarks/million.py $(DATA) --report

bench-scaling: .venv/dev ## One, two, four processes, and what many GPUs would give on paper; a quiet machine
	$(BIN)/python benchmarks/scaling.py --report

bench-speed: .venv/dev ## How fast a step is, beside the tutorial's loop and formulas as they are written; a quiet machine
	$(BIN)/python benchmarks/speed.py --report

gpu-check: .venv/dev ## What your card does with this code, in ten minutes at most; says so where there is none
	$(BIN)/python benchmarks/gpu_check.py --report

clean:           ## Remove what was built (never runs/)
	rm -rf .venv site build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
