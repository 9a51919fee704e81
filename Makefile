# Everything here runs from .venv, which tests/bootstrap.sh makes from the locked requirements.
# `make help` lists the targets.

DEBIAN ?= trixie
python := .venv/bin/python
export SCENARIO
gates := lint types sanity unit integration molecule

.PHONY: help bootstrap build lock demo demo-stop bench test $(gates)

help: ## show this list
	@sed -n 's/^\([a-z -]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16
	@echo "one gate        make lint | types | sanity | unit | integration | molecule [SCENARIO=trixie]"

bootstrap: ## make the virtual environment
	@sh tests/bootstrap.sh

demo: bootstrap ## set up a mail host and show that it works; DEBIAN=bookworm for Debian 12
	@$(python) tests/demo/demo.py start --suite $(DEBIAN)

demo-stop: bootstrap ## remove the demo's host
	@$(python) tests/demo/demo.py stop

test: bootstrap ## run every gate
	@$(python) tests/gates/run.py

$(gates): bootstrap
	@$(python) tests/gates/run.py $@

bench: bootstrap ## measure what the issues set goals for
	@status=0; for bench in site rows; do $(python) tests/bench/$$bench.py || status=1; done; exit $$status

build: bootstrap ## build and install the collection, print where
	@$(python) tests/collection.py

lock: ## make the lock files from requirements.in; needs uv
	uv pip compile -qq --universal --python-version 3.12 --generate-hashes --no-header --no-annotate \
		--only-binary :all: --upgrade requirements.in -o requirements.txt
	uv pip compile -qq --universal --python-version 3.9 --generate-hashes --no-header --no-annotate \
		--only-binary :all: --upgrade tests/unit/requirements.in -o tests/unit/requirements.txt
	echo uv | uv pip compile -qq --universal --generate-hashes --no-header --no-annotate \
		--upgrade - -o tests/uv.txt
