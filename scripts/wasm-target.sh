#!/usr/bin/env bash
# Makes sure that Rust can build plugins: the target wasm32-unknown-unknown of the toolchain in rust-toolchain.toml.
set -euo pipefail
cd "$(dirname "$0")/.."
target=wasm32-unknown-unknown

there() { [[ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]]; }

there && exit 0
if command -v rustup >/dev/null; then
  rustup target add "$target" || true
  there && exit 0
fi
cat >&2 <<TEXT
The Rust target $target is missing and could not be installed. Either

  - let rustup fetch it:                 rustup target add $target
  - or use your system's package, with the same version of Rust:
      Fedora                             dnf install rust-std-static-$target
      Debian, Ubuntu                     apt-get install rustc-web cargo-web rust-web-src
    and, where the package has only the sources of the standard library, build plugins with
      RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=rust-lld \\
        cargo build --release --target $target -Zbuild-std=std,panic_abort -p PLUGIN

Then run the same make target again. Plugins that are built already can be copied to examples/plugins/NAME.wasm.
TEXT
exit 1
