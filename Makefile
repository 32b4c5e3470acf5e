# What is done by hand or by .ci/run. The two commands that set everything up are ./run and ./test.
.POSIX:
.PHONY: lint test soak bench fuzz docs coverage tls-scan

# Format, clippy with the workspace's lints as errors, the architecture and tidiness of the tree (dead links included).
lint:
	@. ./scripts/prepare.sh && prepare_build
	for script in run test .ci/run scripts/*.sh; do sh -n "$$script" || exit 1; done
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo test --locked --quiet -p portcullis --test architecture

test:
	./test

# The long counts: a hundred times those of ./test.
soak:
	PORTCULLIS_SOAK=100 ./test

# CPU time per request against nginx and HAProxy; BENCH='--write' keeps the table in docs/PERFORMANCE.md.
bench:
	./scripts/bench.sh $(BENCH)

# Mutates each target's corpus for FUZZ_SECONDS (60); TARGET=policy runs one. Overflows and debug assertions fail here.
fuzz:
	CARGO_TARGET_DIR=target/fuzz CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true \
	cargo run --release --locked -p portcullis-fuzz -- $${FUZZ_SECONDS:+--seconds $$FUZZ_SECONDS} $(TARGET)

docs:
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked

coverage:
	./scripts/coverage.sh

# sslyze against the listeners, by Mozilla's profiles intermediate and modern.
tls-scan:
	./scripts/tls-scan.sh
