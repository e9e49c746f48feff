# Everything people do here. `make` alone lists it.

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
FUZZTIME ?= 30s
IMAGE    ?= roost:$(VERSION)

# Folders with a package.json, which is what the tests with real clients and backends need from npm. web has its own rule.
NODE_TESTS = $(shell find . -name node_modules -prune -o -name package.json -not -path './web/*' -print | xargs -r -n1 dirname)
NPM_INSTALL = npm install --no-package-lock --no-audit --no-fund --loglevel=error

.PHONY: help run build bundle test tools fuzz bench image check

help:
	@awk -F ' *## *' '/^[a-z]+:.*##/ { sub(/:.*/, "", $$1); printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: bundle build ## try it: embedded Redis, demo backend and demo page
	bin/gateway dev

build: ## build bin/gateway
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/gateway ./cmd/gateway

bundle: ## fetch phoenix.js for the demo page, if npm is there
	@if ! command -v npm >/dev/null; then echo "npm is not installed: the demo page will say so, and the rest works"; \
	else $(MAKE) --no-print-directory web/dist/phoenix.js || echo "npm failed: the demo page goes without phoenix.js"; fi

web/dist/phoenix.js: web/package.json web/build.mjs
	cd web && $(NPM_INSTALL) && node build.mjs

test: tools ## vet, and all tests with the race detector; installs what they need
	$(GO) vet ./...
	$(GO) build -race ./...
	$(GO) test -race -count=1 -p 1 -timeout 20m ./... # one after the other: many run a cluster of programs, and a browser
	cd k8s && $(GO) vet ./... && $(GO) test -count=1 ./... # a module of its own

# The tests skip what is not installed. As root on Debian it is installed, so that nothing is skipped. Helm and what else
# the tests of k8s/ need is built into the user's cache folder, once.
tools:
	@need=; for pair in redis-server:redis-server redis-sentinel:redis-sentinel redis-cli:redis-tools chromium:chromium \
	  node:nodejs npm:npm gcc:gcc nginx:nginx python3:python3 curl:curl pip3:python3-pip puma:puma php:php-cli; do command -v $${pair%%:*} >/dev/null || need="$$need $${pair##*:}"; done; \
	if [ -z "$$need" ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1; apt-get update -qq && apt-get install -y -qq --no-install-recommends $$need; \
	else echo "not installed, tests that need it are skipped:$$need"; fi
	@if command -v npm >/dev/null; then for dir in $(NODE_TESTS); do (cd $$dir && $(NPM_INSTALL)) || exit 1; done; fi
	@GO=$(GO) k8s/tools.sh

fuzz: ## run every fuzz target for FUZZTIME (30s)
	@for package in $$($(GO) list ./...); do for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz'); do \
	  $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x $$package || exit 1; done; done

bench: ## run the benchmarks of the parts
	$(GO) test -run '^$$' -bench . -benchmem ./...

image: ## build the container image
	docker build --build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD) -t $(IMAGE) .

check: ## what must hold before a commit: format, vet, tests
	@unformatted=$$(gofmt -l $$($(GO) list -f '{{.Dir}}' ./...) k8s); \
	if [ -n "$$unformatted" ]; then echo "not formatted:"; echo "$$unformatted"; exit 1; fi
	@$(MAKE) --no-print-directory test
