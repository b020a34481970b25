#!/usr/bin/env bash
# Everything that must hold of a checkout: format, lints, docs, and the README's test command, which
# installs what is missing by itself. Needs Rust, Python 3 and Node; root, or sudo.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }

say "format"
cargo fmt --all --check

say "lints"
cargo clippy --all-targets --locked -- -D warnings

say "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked --quiet

say "the README's test command"
# Tests that call gymcheck mostly wait; those of them that keep a machine busy take turns.
export RUST_TEST_THREADS=$((2 * $(nproc)))
# Taken from the README itself, so that what is promised there is what is tested here.
command=$(grep -m 1 -x '.*&& cargo test' README.md)
echo "$command"
bash -euo pipefail -c "$command"
