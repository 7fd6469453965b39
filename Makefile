# The two commands of a newcomer, `make demo` and `make test`, do all set-up themselves
# and share one build. Each part prints its seconds, and what it found done already.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.ONESHELL:
.SILENT:
.PHONY: demo test test-peers test-long bench setup packages bench-packages target host components base check registry tests guests fixtures publish-components help

# Debian packages that the build and the local cloud need beyond Rust.
PACKAGES := build-essential ca-certificates curl iproute2 mmdebstrap nftables uidmap
DARKROOM := target/debug/darkroom
# What only the tests start is unpacked here, not installed: a package of a server would
# start it.
TOOLS := $(CURDIR)/target/tools
# Independent tools, for `make test-peers`. They need Go, and minutes the first time.
PEERS := github.com/google/go-containerregistry/cmd/crane@v0.22.1 \
         oras.land/oras/cmd/oras@v1.3.6 github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3
WKG := 0.16.1
# The crates of components in the examples.
EXAMPLES := examples/01-web-server/greeting examples/05-own-component/motd
GUESTS := target/guests

# Nothing is compiled twice in CI, so that what a second time would need is not written.
ifeq ($(CI),true)
export CARGO_INCREMENTAL := 0
endif

# $(call part,NAME): times the rest of a recipe.
part = start=$$SECONDS; trap 'code=$$?; printf "%s: %d s%s\n" "$(1)" $$((SECONDS - start)) "$$([ $$code = 0 ] || echo ", failed")"; exit $$code' EXIT

help:
	echo 'make demo   set up, then build examples/01-web-server on this machine'
	echo 'make test   set up, then run every test'
	echo 'make test-peers  tools of others (crane, oras, cosign, wkg, packer) against this one'
	echo 'make test-long   the same tests with their long sweeps'
	echo 'make publish-components REGISTRY=HOST[/PATH] [SIGN=KEY]  publish what ships'
	echo 'make bench  figures, as ratios to raw floors and to peers in the same run'

demo: setup base
	$(DARKROOM) update --template examples/01-web-server/image.yaml
	$(DARKROOM) build examples/01-web-server/image.yaml

test: setup base check guests tests

setup: packages target host components

# Installs what is missing as root; tells an ordinary user which command does.
packages:
	$(call part,packages)
	missing=$$(for p in $(PACKAGES); do dpkg-query -W -f='$${db:Status-Status}' $$p 2>/dev/null | grep -qx installed || printf '%s ' $$p; done)
	if [ -z "$$missing" ]; then
	  echo 'packages: all are installed'
	elif [ "$$(id -u)" = 0 ]; then
	  apt-get update -q
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing
	else
	  echo "These Debian packages are missing: $$missing" >&2
	  echo "Install them with: sudo apt-get install --no-install-recommends $$missing" >&2
	  exit 1
	fi

# The WebAssembly targets of the toolchain: one for components, one for the guest that a
# stock toolchain builds in the tests. `darkroom component build` knows another way where
# rustup can't fetch them, so that a failure here is no failure.
target: packages
	$(call part,target)
	command -v cargo >/dev/null || { echo 'Rust is missing: see https://rustup.rs' >&2; exit 1; }
	for target in wasm32-unknown-unknown wasm32-wasip2; do
	  if [ -d "$$(rustc --print target-libdir --target $$target)" ]; then
	    echo "target: $$target is there"
	  else
	    rustup target add $$target || echo "target: rustup can't fetch $$target"
	  fi
	done

host: packages
	$(call part,host)
	before=$$(stat -c %Y $(DARKROOM) 2>/dev/null || true)
	cargo build --workspace
	if [ "$$before" = "$$(stat -c %Y $(DARKROOM))" ]; then echo 'host: reused'; fi

components: target host
	$(call part,components)
	$(DARKROOM) component build components --out-dir target/components --target-dir $(GUESTS)
	for crate in $(EXAMPLES); do $(DARKROOM) component build $$crate --target-dir $(GUESTS); done
	# The examples follow the tree: a lock that an earlier build left would refuse what is new.
	rm -f examples/*/darkroom.lock

# The base root file system of the local cloud, as every instance's image. An ordinary
# user who lacks something is told the command; his tests go on without instances.
base: host
	$(call part,base)
	if ! $(DARKROOM) local bootstrap debian-12; then
	  if [ "$$(id -u)" = 0 ] || [ '$(filter test,$(MAKECMDGOALS))' = '' ]; then exit 1; fi
	  echo 'base: the tests that run instances will say that they did not run'
	fi

check: host
	$(call part,check)
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps

# The components' own tests need no instance and no WebAssembly.
guests: components
	$(call part,guests)
	cargo test --manifest-path components/Cargo.toml --workspace --target-dir $(GUESTS)
	cargo test --manifest-path sdk/rust/Cargo.toml --target-dir $(GUESTS)
	for crate in $(EXAMPLES); do cargo test --manifest-path $$crate/Cargo.toml --target-dir $(GUESTS); done

# A registry to publish to and pull from.
registry:
	$(call part,registry)
	if command -v docker-registry >/dev/null || [ -x $(TOOLS)/usr/bin/docker-registry ]; then
	  echo 'registry: docker-registry is there'
	else
	  mkdir -p $(TOOLS)
	  cd $(TOOLS)
	  if [ "$$(id -u)" = 0 ] && [ -z "$$(apt-cache policy docker-registry)" ]; then apt-get update -q; fi
	  if apt-get download -q docker-registry; then
	    dpkg -x docker-registry_*.deb .
	    rm docker-registry_*.deb
	  else
	    echo 'registry: the tests that need one will say that they did not run'
	  fi
	fi

# With CI=true a test that says 'not run' is a failure, unless what it lacks is the folder
# of conformance data, which lies outside the tree.
tests: host components base registry
	$(call part,tests)
	log=target/tests.log
	PATH="$$PATH:$(TOOLS)/usr/bin" cargo test --workspace -- --show-output | tee $$log
	missing=$$(grep -h '^not run' $$log | sort -u || true)
	if [ -n "$$missing" ]; then
	  printf '\nSome tests did not run:\n%s\n' "$$missing"
	  if [ "$${CI:-}" = true ] && grep -v 'shared' <<< "$$missing" >/dev/null; then exit 1; fi
	fi

# Tools of others against what this makes, and this against what they make.
test-peers: setup registry
	$(call part,test-peers)
	if [ "$$(id -u)" = 0 ] && ! command -v packer >/dev/null; then
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends packer || echo 'packer: its test will say that it did not run'
	fi
	mkdir -p $(TOOLS)/bin
	for tool in $(PEERS); do
	  name=$${tool%@*}
	  [ -x $(TOOLS)/bin/$${name##*/} ] || GOBIN=$(TOOLS)/bin go install $$tool
	done
	go build -C tests/peers/registry -o $(TOOLS)/bin/referrers-registry .
	[ -x $(TOOLS)/bin/wkg ] || cargo install wkg --version $(WKG) --locked --root $(TOOLS)
	PATH="$(TOOLS)/bin:$$PATH:$(TOOLS)/usr/bin" DARKROOM_LONG=1 cargo test --workspace --test network --test offline --test packages --test packer -- --show-output

# The same tests, each as long as it can be.
test-long: setup base registry
	$(call part,test-long)
	PATH="$$PATH:$(TOOLS)/usr/bin" DARKROOM_LONG=1 cargo test --workspace -- --show-output | tee target/tests-long.log

# What is measured against.
bench-packages: packages
	if ! dpkg-query -W -f='$${db:Status-Status}' buildah 2>/dev/null | grep -qx installed; then
	  if [ "$$(id -u)" = 0 ]; then
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends buildah
	  else
	    echo 'bench: install buildah to be measured against it' >&2
	  fi
	fi

# Optimized, and built for this alone.
bench: bench-packages registry components
	$(call part,bench)
	cargo bench -p darkroom-local --bench layer_commit
	cargo bench -p darkroom-tests --bench many_builds
	cargo build --release -p darkroom-cli
	PATH="$(TOOLS)/bin:$$PATH:$(TOOLS)/usr/bin" cargo bench -p darkroom-tests --bench pull_packages
	cargo bench -p darkroom-tests --bench waiting

# The system components as packages, and the contract, below a place in a registry:
# HOST/PATH/darkroom/NAME. What is there already stays as it is.
publish-components: components
	$(call part,publish-components)
	[ -n '$(REGISTRY)' ] || { echo 'name the place: make publish-components REGISTRY=HOST[/PATH]' >&2; exit 1; }
	contract=$(CURDIR)/target/darkroom-component.wasm
	$(DARKROOM) component wit --wasm -o $$contract
	for file in target/components/*.wasm $$contract; do
	  $(DARKROOM) component publish $$file --registry '$(REGISTRY)' $(if $(SIGN),--sign '$(SIGN)')
	done

# Builds the conformance component in every language and keeps what came of it. The kept
# components must run for ever, so this is for a new language or a new contract only; the
# tests never do it. Needs Go, npm and Python beside Rust; the rest is fetched into target/.
fixtures: target
	$(call part,fixtures)
	tests/guests/build
	cargo test -p darkroom-tests --test languages -- --ignored --exact same::keep_what_was_built
