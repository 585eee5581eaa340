# What people run. "make ci" is what a merge has to pass.
.PHONY: all build test race lint fmt bench fuzz fuzz-long interop interop-models conformance e2e e2e-azure pictures vuln image ci clean

TOOL := go tool -modfile=tools/go.mod
FUZZTIME ?= 10s
DOCKER ?= docker

all: build

build:
	CGO_ENABLED=0 go build -trimpath -o bin/onbehalf ./cmd/onbehalf
	CGO_ENABLED=0 go build -trimpath -o bin/onbehalf-server ./cmd/onbehalf-server

test:
	go test ./...

race:
	go test -race ./...

lint:
	$(TOOL) golangci-lint run --allow-parallel-runners ./...
	go mod tidy -diff

fmt:
	$(TOOL) golangci-lint fmt ./...

bench:
	go test -run='^$$' -bench=. -benchmem ./...
	cd bench && go test -run='^$$' -bench=. -benchmem ./...

# Every fuzz target for FUZZTIME each.
fuzz:
	@go list -f '{{.ImportPath}}' ./... | while read -r pkg; do \
	  for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
	    echo "$$pkg $$target"; go test -run='^$$' -fuzz="^$$target\$$" -fuzztime=$(FUZZTIME) $$pkg || exit 1; \
	  done; done

# Microsoft's own libraries, other people's servers and clients, against ours. Installs what it needs, pinned.
interop:
	go test -tags=interop -count=1 -timeout=30m ./interop/...

# Ollama, at its API and through the agent in Chromium. It is no part of "make ci": building it takes two cores some five minutes,
# and the clients and the llama.cpp of "make interop" and "make e2e" speak the same protocol in seconds.
interop-models:
	go test -tags=interop,e2e,models -count=1 -timeout=60m -run=Ollama ./interop/models ./interop/web

# The official MCP conformance suite against the real server behind its real middleware.
conformance:
	go test -tags=conformance -count=1 -timeout=15m ./interop/...

# The product as people use it: the commands of README.md in a fresh clone, the built binaries as processes, the web agent
# in Chromium. "make pictures" draws those of docs/images anew.
e2e:
	go test -tags=e2e -count=1 -timeout=30m ./interop/e2e/... ./interop/web/...

pictures:
	go test -tags=e2e -count=1 -run=TestPictures ./interop/web -pictures

# The whole way in a real tenant: docs/azure.md says what it needs. AZURE_E2E_REHEARSAL=1 rehearses it on this machine.
e2e-azure:
	go test -tags=azure -count=1 -timeout=60m -v ./interop/azure/...

vuln:
	go run golang.org/x/vuln/cmd/govulncheck@latest ./...

image:
	CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o bin/onbehalf-server ./cmd/onbehalf-server
	$(DOCKER) build -t onbehalf-server .

ci:
	bash .ci/run

clean:
	rm -rf bin
