# The README's commands. Everything is installed into folders of this checkout and nowhere else.
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test lint bench venv-demo venv-dev packages clean

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

venv-demo:
	@sh tools/venv.sh $(VENV) demo

venv-dev:
	@sh tools/venv.sh $(VENV) dev

# Server programs that some tests need; without the right to install them those tests are skipped.
packages:
	@sh tools/packages.sh cluster panic || [ $$? = 3 ]

clean:
	rm -rf $(VENV) .venv-bare out
