# SPDX-License-Identifier: Apache-2.0
# make run · make build · make test · make test-all: see README.md.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
JOBS ?= $(shell nproc)
RELEASE := build/release

.PHONY: help run package demo-cluster build test test-services test-all setup lint format bench clean

help: ## what the targets do
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: ## install missing packages (Debian 12)
	@tools/setup

$(RELEASE)/build.ninja: CMakePresets.json | setup
	@cmake --preset release > /dev/null

build: setup $(RELEASE)/build.ninja ## the release binary: build/release/trialwire
	@cmake --build $(RELEASE) -j $(JOBS) --target trialwire

run: build ## build, then serve with defaults, data in ./data
	@exec $(RELEASE)/trialwire serve

package: build ## build/package/trialwire_*.deb, with unit, configuration and manual page
	@tools/package

demo-cluster: build ## Kafka, PostgreSQL, two gateways, two processors and an api on this machine
	@tools/setup-services
	@exec tools/demo-cluster

test: setup $(RELEASE)/build.ninja ## build and run the tests
	@cmake --build $(RELEASE) -j $(JOBS)
	@tools/run_ctest 'long|services' --test-dir $(RELEASE) --output-on-failure -j $(shell expr $(JOBS) + 1)

test-services: setup $(RELEASE)/build.ninja ## the tests against real PostgreSQL, MariaDB, Kafka and etcd
	@cmake --build $(RELEASE) -j $(JOBS)
	@tools/test_services

test-all: test ## the long ones too: sanitizers, fault seeds, fuzz minutes, mutants, performance
	@tools/test_long

lint: setup $(RELEASE)/build.ninja ## format, clang-tidy, include directions, file sizes
	@tools/lint

format: setup ## clang-format everything
	@git ls-files '*.cpp' '*.hpp' | xargs clang-format-19 -i

bench: setup ## the benchmark against its peers; writes build/bench
	@bench/run http-report

clean: ## remove what was built
	@rm -rf build
