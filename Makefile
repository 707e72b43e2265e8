# Thin on purpose: the work is in scripts/ and the CMake presets. `make help` lists the targets.
# YES=1: ask nothing.  MIRROR=URL: Debian packages from there.  PREFIX=/usr/local, DESTDIR=: for install.
.DEFAULT_GOAL := build
.PHONY: build test test-all test-faults chaos demo bench lint format serve image tiny-model install uninstall clean help
export YES MIRROR PREFIX DESTDIR MODEL MINUTES SEED ONLY SECONDS_EACH

build:      ## Install what is missing and build; the programs are in build/bin
	@scripts/build.sh
demo:       ## Everything from nothing: build, images, a daemon, the steps shown, all stopped again
	@scripts/demo.sh
test:       ## Everything from nothing: install, build, images, all tests
	@scripts/test.sh
test-all:   ## The long ones: sanitizers, a second compiler, long fuzzing, lint of all files
	@scripts/test-all.sh
chaos:      ## Everything at random and everything killed, for MINUTES=10: tests/system/test_chaos.py; SEED=N
	@scripts/chaos.sh "$${MINUTES:-10}" "$${SEED:-}"
test-faults: ## A fault at every system call of every operation (hours; goes on where it was; ONLY=create,stop SECONDS_EACH=600)
	@scripts/test-faults.sh
lint:       ## Layout, layers, coroutine rules, sizes, clang-tidy
	@scripts/lint.sh
format:     ## Lay out the sources as lint wants them
	@scripts/lint.sh --format
bench:      ## Measure: floors, peers, ours
	@scripts/bench.sh
image:      ## Make the default images in /var/lib/lm-sandbox
	@scripts/build.sh --images
serve:      ## Build and serve on 127.0.0.1:8000 until stopped
	@scripts/build.sh --serve
tiny-model: ## Train the demonstration model again (an hour or more): models/tiny
	@models/tiny/make.sh
install:    ## Install below PREFIX
	@scripts/install.sh install
uninstall:  ## Remove what install put there
	@scripts/install.sh uninstall
clean:      ## Remove build/
	@rm -rf build
help:
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile
