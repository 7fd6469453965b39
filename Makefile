# The two commands of a newcomer, `make demo` and `make test`, do all set-up
# themselves and share one build. Each part prints its seconds.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.PHONY: demo test setup packages target host components base check unit

# Debian packages that the build and the local cloud need beyond Rust.
PACKAGES := build-essential ca-certificates iproute2 mmdebstrap nftables
DARKROOM := target/debug/darkroom

# $(call part,NAME): times the rest of a recipe line.
part = start=$$SECONDS; trap 'code=$$?; printf "%-12s %4d s\n" "$(1):" $$((SECONDS - start)); exit $$code' EXIT;

demo: setup base
	@$(DARKROOM) build examples/01-web-server/image.yaml --yes

test: setup check unit

setup: packages target host components

# Installs what is missing as root; tells an ordinary user which command does.
packages:
	@$(call part,packages) \
	missing=$$(for p in $(PACKAGES); do dpkg-query -W -f='$${db:Status-Status}' $$p 2>/dev/null | grep -qx installed || printf '%s ' $$p; done); \
	if [ -z "$$missing" ]; then echo "packages: all there"; \
	elif [ "$$(id -u)" = 0 ]; then apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing; \
	else echo "These Debian packages are missing: $$missing"; echo "Install them with: sudo apt-get install --no-install-recommends $$missing"; exit 1; fi

# The WebAssembly target of the Rust toolchain; `darkroom component build` knows
# another way where rustup can't fetch it.
target:
	@$(call part,target) \
	if [ -d "$$(rustc --print target-libdir --target wasm32-unknown-unknown)" ]; then echo "target: wasm32-unknown-unknown is there"; \
	else rustup target add wasm32-unknown-unknown || true; fi

host:
	@$(call part,host) cargo build --workspace --all-targets

components: host
	@$(call part,components) $(DARKROOM) component build components --out-dir target/components

base: host
	@$(call part,base) $(DARKROOM) local bootstrap debian-12

check:
	@$(call part,check) cargo fmt --all --check; cargo clippy --workspace --all-targets -- -D warnings; \
	RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps

unit:
	@$(call part,unit) cargo test --workspace
