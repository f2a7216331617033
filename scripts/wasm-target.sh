#!/usr/bin/env bash
# Makes sure that Rust can build plugins, and builds them.
#
#   scripts/wasm-target.sh                  the target wasm32-unknown-unknown of the toolchain in rust-toolchain.toml; where rustup cannot
#                                           have it, Debian's compiler for the web, which brings the standard library as sources
#   scripts/wasm-target.sh build ARGS...    cargo build ARGS for that target, with whichever of them is there
#
# WASMILL_WASM_RUST=debian takes Debian's even where rustup has the target.
set -euo pipefail
cd "$(dirname "$0")/.."
target=wasm32-unknown-unknown
sources=/usr/lib/rustlib/src/rust/library

rustup_has() { [[ ${WASMILL_WASM_RUST:-} != debian && -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]]; }

debian_has() { [[ -x /usr/bin/cargo && -x /usr/bin/rustc && -d $sources ]]; }

find_one() {
  rustup_has && return
  if [[ ${WASMILL_WASM_RUST:-} != debian ]] && command -v rustup >/dev/null; then
    rustup target add "$target" >&2 || true
    rustup_has && return
  fi
  debian_has && return
  if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    (apt-get update -qq && apt-get install -y -qq --no-install-recommends rustc-web cargo-web rust-web-src) >/dev/null || true
    debian_has && return
  fi
  cat >&2 <<TEXT
The Rust target $target is missing and could not be installed. Either

  - let rustup fetch it:                 rustup target add $target
  - or use your system's package:
      Fedora, with the same version      dnf install rust-std-static-$target
      Debian, Ubuntu                     apt-get install rustc-web cargo-web rust-web-src

Then run the same make target again. Plugins that are built already can be copied to examples/plugins/NAME.wasm.
TEXT
  exit 1
}

build() {
  if rustup_has; then
    cargo build --target "$target" "$@"
    return
  fi
  # Debian's has no linker for WebAssembly; that of the toolchain at hand will do.
  local linkers
  linkers=("$(rustc --print sysroot)"/lib/rustlib/*/bin/rust-lld)
  PATH=/usr/bin:/bin RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=${linkers[0]} \
    /usr/bin/cargo build --target "$target" -Zbuild-std=std,panic_abort "$@"
}

case ${1:-} in
"") find_one ;;
build) shift; find_one; build "$@" ;;
*) sed -n '2,8s/^# \{0,1\}//p' "scripts/$(basename "$0")" >&2; exit 2 ;;
esac
