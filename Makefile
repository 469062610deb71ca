# `make help` lists the targets. Everything but the benchmark is built in the dev profile and as one workspace, so that the
# dependencies are compiled once for all of them; a build of single packages would ask for other features of them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
.PHONY: help build demo test test-unit lint generate bench tools
MAKEFLAGS += --no-print-directory

export CARGO_TARGET_DIR ?= $(HOME)/.cache/barndoor-export/target
BIN := $(abspath $(CARGO_TARGET_DIR))/debug
SERVERS_ENV := $${XDG_CACHE_HOME:-$$HOME/.cache}/barndoor-export/servers.env

# Says what is missing before anything is built: $(call need,cargo go …)
define need
missing=
for tool in $(1); do
	command -v "$$tool" >/dev/null && continue
	case "$$tool" in
		cargo) remedy="install Rust 1.95 or newer from https://rustup.rs" ;;
		cc) remedy="install a C compiler, such as the package gcc" ;;
		go) remedy="install Go from https://go.dev/dl; the tests build MinIO with it" ;;
		python3) remedy="install Python 3.9 or newer; the tests run moto with it" ;;
		*) remedy="install it" ;;
	esac
	printf 'missing: %s (%s)\n' "$$tool" "$$remedy" >&2
	missing=1
done
[[ -z "$$missing" ]] || exit 1
endef

# A heading, the command, and how long it took; ends as the command ends.
define step
step() {
	local began=$$SECONDS end=done status=0
	printf '\n== %s\n' "$$1"
	shift
	"$$@" || { status=$$?; end=FAILED; }
	printf '== %s in %d s\n' "$$end" "$$((SECONDS - began))"
	return "$$status"
}
endef

help: ## Lists the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1|\2/p' Makefile | column -t -s '|'

build: ## Builds barndoor-export and says where it is
	@$(call need,cargo cc)
	cargo build --workspace --bin barndoor-export
	printf 'Built %s\n' "$(BIN)/barndoor-export"

demo: ## Shows the product on this machine, no account needed; KEEP=1 leaves it running
	@$(call need,cargo cc)
	cargo build --workspace --bin barndoor-export --bin demo
	BARNDOOR_EXPORT_BIN="$(BIN)/barndoor-export" "$(BIN)/demo" $(if $(KEEP),--keep)

# The end-to-end tests mostly wait, for flush intervals and back-offs: several share a core. The last line says
# how many tests passed and failed, whatever happened before.
test: ## Runs everything: format, lints, unit, simulation, end to end against real servers
	@$(call need,cargo cc go python3)
	$(step)
	step "Servers for the tests" tests/servers/install.sh
	set -a; . "$(SERVERS_ENV)"; set +a
	step "Format" cargo fmt --all --check
	step "Lints" cargo clippy --workspace --all-targets --locked -- -D warnings
	step "Build" cargo build --workspace --all-targets --locked
	export BARNDOOR_EXPORT_BIN="$(BIN)/barndoor-export" DEMO_BIN="$(BIN)/demo"
	results="$$(mktemp)"
	total() {
		printf '\nIn %d s:\n' "$$SECONDS"
		awk '/^test result:/ { passed += $$4; failed += $$6 } END { printf "%d passed, %d failed\n", passed, failed }' "$$results"
		rm "$$results"
	}
	trap total EXIT
	tests() { cargo test --workspace --locked --no-fail-fast "$$@" 2>&1 | tee -a "$$results"; }
	end=0
	step "Unit and simulation" tests --lib --bins || end=1
	export RUST_TEST_THREADS="$${RUST_TEST_THREADS:-$$((4 * $$(getconf _NPROCESSORS_ONLN)))}"
	step "End to end, $$RUST_TEST_THREADS at a time" tests --test e2e || end=1
	exit "$$end"

test-unit: ## Runs the unit tests and the simulation: the fast inner loop
	@$(call need,cargo cc)
	cargo test --workspace --lib --bins

lint: ## Checks format, lints, licences and advisories (installs cargo-deny when missing)
	@$(call need,cargo cc)
	$(step)
	step "Format" cargo fmt --all --check
	step "Lints" cargo clippy --workspace --all-targets -- -D warnings
	command -v cargo-deny >/dev/null || step "Installing cargo-deny" cargo install --locked cargo-deny
	step "Licences, bans, advisories" cargo deny check

generate: ## Writes the generated files anew; a test fails when they drift
	@$(call need,cargo cc)
	UPDATE_GENERATED=1 cargo test --workspace --lib --bins
	git status --short -- crds docs controller/openapi.json

bench: ## Measures encoder and event log beside bare gzip and bare disk (a release build, some minutes)
	@$(call need,cargo cc)
	cargo run --release --package barndoor-tests --bin bench

tools: ## Installs the servers that the end-to-end tests run against
	@$(call need,go python3)
	tests/servers/install.sh
