# The two commands: `make demo`, `make test`. Everything is built under $(BUILD).
BUILD  ?= build
PREFIX ?= /usr/local
PRESET ?= dev
CTEST  ?= ctest --test-dir $(BUILD) --output-on-failure
HEDDLE := $(BUILD)/bin/heddle

.PHONY: demo test deps configure build dist install fmt lint bench bench-% test-deep clean
.DEFAULT_GOAL := build

deps:
	@scripts/install_deps.sh $(BUILD)

configure: deps
	@cmake --preset $(PRESET) -B $(BUILD) -DHEDDLE_VENV=$(abspath $(BUILD))/venv > $(BUILD)/configure.log 2>&1 \
	  || { cat $(BUILD)/configure.log >&2; exit 1; }

build: configure
	@cmake --build $(BUILD)

# The main job on three million flights; ends with $(BUILD)/demo/report.json and report.html.
demo: build
	@$(HEDDLE) dev demo --example examples/flights --data $(BUILD)/data --out $(BUILD)/demo

# Modules and scenarios are tested as many at once as there are cores, the others one by one: they
# measure or kill.
test: build
	@scripts/install_deps.sh --tests $(BUILD)
	@$(CTEST) -L 'module|scenario' -LE 'slow|deep' -j $$(nproc); first=$$?; \
	  $(CTEST) -LE 'slow|deep|module|scenario' && exit $$first

test-deep: build
	@scripts/install_deps.sh --tests $(BUILD)
	@$(CTEST)

# build/dist: a relocatable tarball and a manylinux wheel; docs/install.md.
dist: build
	@python3 scripts/dist.py $(BUILD)

install: build
	@cmake --install $(BUILD) --prefix $(PREFIX)

bench: build
	@scripts/install_deps.sh --bench $(BUILD)
	@scripts/bench.sh $(BUILD)

bench-%: build
	@scripts/install_deps.sh --bench $(BUILD)
	@scripts/bench.sh $(BUILD) $*

fmt:
	@scripts/install_deps.sh --tests $(BUILD)
	@git ls-files '*.cpp' '*.hpp' | xargs $(BUILD)/test-venv/bin/clang-format -i
	@git ls-files '*.py' | xargs $(BUILD)/test-venv/bin/black --quiet

lint:
	@scripts/install_deps.sh --tests $(BUILD)
	@scripts/lint.sh $(BUILD)

clean:
	rm -rf $(BUILD)
