# Each target sets up what it needs, in .venv and .cache, and nothing outside this folder.

PYTHON ?= python3
PREPARE = @PYTHONDONTWRITEBYTECODE=1 $(PYTHON) -m scripts.environment
ENV = .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup run test test-long test-postgres test-fleet test-browser test-containers chaos audit sbom check format generate lock train bench bench-fleet bench-accuracy bench-teaching clean

help: ## Say what there is
	@echo "make TARGET, on a computer with Python 3.11 or later; the rest is brought. TARGET is one of:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r target text; do printf '  %-15s %s\n' "$$target" "$$text"; done

setup: ## Prepare for use and development; the program is then .venv/bin/hems
	$(PREPARE) dev
	@echo "Ready: \`make run\` shows a recorded home, \`.venv/bin/hems --help\` what else there is."

run: ## Show a recorded home live; SPEED=20 times as fast, PORT=8080, MQTT_PORT=18883, HOME_ID=home
	$(PREPARE) run
	@exec $(ENV)/hems up --demo $(if $(SPEED),--speed $(SPEED)) $(if $(PORT),--page-port $(PORT)) $(if $(MQTT_PORT),--port $(MQTT_PORT)) $(if $(HOME_ID),--home $(HOME_ID))

test: ## Run the tests, a few minutes; ARGS="-k sensor" picks some
	$(PREPARE) dev
	@exec $(ENV)/python -m pytest -n 2 --dist worksteal $(ARGS)

test-long: ## Run the tests that take long too: kills, outages, fuzzing, and new random examples
	$(PREPARE) dev
	@HEMS_TEST_NEW_EXAMPLES=1 exec $(ENV)/python -m pytest -m "not browser and not containers" $(ARGS)

test-postgres: ## Run the history's tests on a real PostgreSQL, brought where missing
	$(PREPARE) dev
	@$(PYTHON) -m scripts.postgres
	@HEMS_TEST_POSTGRES=1 exec $(ENV)/python -m pytest tests/postgres $(ARGS)

test-fleet: ## Run the tests of many homes on a real cluster of NATS servers; ARGS="-m long" for the great one
	$(PREPARE) dev
	@$(PYTHON) -m scripts.nats
	@$(PYTHON) -m scripts.postgres
	@HEMS_TEST_FLEET=1 exec $(ENV)/python -m pytest tests/fleet $(ARGS)

test-browser: ## Look at the page in a real browser, at three sizes; screenshots go to .cache/screenshots
	$(PREPARE) dev
	@$(PYTHON) -m scripts.browser
	@exec $(ENV)/python -m pytest -m browser tests/browser $(ARGS)

test-containers: ## Build the images and disturb a demo in containers; base images are made of Debian's packages where no registry answers
	$(PREPARE) dev
	@$(PYTHON) -m scripts.containers --postgres
	@exec $(ENV)/python -m pytest -m "containers and not long" tests/containers $(ARGS)

chaos: ## Disturb a home of real processes with 200 faults, and see what is kept; ARGS="--seed 7 --faults 20"
	$(PREPARE) dev
	@exec $(ENV)/python -m tests.chaos $(ARGS)

audit: ## Look for known faults in the locked packages
	$(PREPARE) dev
	@$(PYTHON) -m scripts.audit $(ARGS)

sbom: ## Write a bill of materials, CycloneDX, for the service packages: sbom.json
	$(PREPARE) dev
	@$(ENV)/cyclonedx-py requirements requirements/run.txt --pyproject pyproject.toml --mc-type application --output-reproducible --of JSON -o sbom.json
	@echo "sbom.json"

check: ## Check style, types, who imports whom, dependencies and generated files
	$(PREPARE) dev
	@exec $(ENV)/python -m scripts.check

format: ## Put the code into its style, and mend what can be mended by machine
	$(PREPARE) dev
	@$(ENV)/ruff check --quiet --fix-only .
	@$(ENV)/ruff format .

generate: ## Write the files that come from the contracts: the MQTT pages and the broker's access list
	$(PREPARE) dev
	@exec $(ENV)/python -m scripts.generate

lock: ## Resolve pyproject.toml into requirements/*.txt; UPGRADE=1 takes newer versions
	@$(PYTHON) -m scripts.lock $(if $(UPGRADE),--upgrade)

train: ## Train the appliance model (TensorFlow, in .cache/training); DATA=folder of recorded homes
	$(PREPARE) training
	@test -n "$(DATA)" || { echo "make: say where the recorded homes are, such as \`make train DATA=~/homes\`"; exit 2; }
	@exec .cache/training/bin/python -m services.disaggregator.training $(DATA) $(ARGS)

bench: ## Measure latency, rates, memory and start, beside plain paho
	$(PREPARE) dev
	@exec $(ENV)/python -m bench $(ARGS)

bench-fleet: ## Measure what many homes cost, model and messages, and draw it; about six minutes
	$(PREPARE) dev
	@exec $(ENV)/python -m bench.fleet

bench-accuracy: ## Judge the models on recorded homes, each left out in turn; DATA=a folder of them (docs/packs.md)
	$(PREPARE) dev
	@test -d "$(DATA)" || { echo "make: say which folder holds the homes (docs/packs.md), such as \`make bench-accuracy DATA=~/homes\`"; exit 2; }
	@exec $(ENV)/python -m bench.accuracy $(DATA) $(ARGS)

bench-teaching: ## See whether five words of a person an appliance help in a home never seen; DATA=a folder of recorded homes
	$(PREPARE) dev
	@test -d "$(DATA)" || { echo "make: say which folder holds the homes (docs/packs.md), such as \`make bench-teaching DATA=~/homes\`"; exit 2; }
	@exec $(ENV)/python -m bench.teaching $(DATA) $(ARGS)

clean: ## Remove what can be brought or made again: .venv, .cache and other caches; never var/
	@rm -rf .venv .cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info dist
	@find . -name __pycache__ -prune -exec rm -rf {} +
