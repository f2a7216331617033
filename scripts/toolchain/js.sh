#!/usr/bin/env bash
# What plugins in JavaScript and TypeScript are built with: node 20 or later, and the packages of plugin-sdk/js/package.json, as its lock pins them.
#
#   scripts/toolchain/js.sh
#
# The packages go to ${WASMILL_TOOLS:-${XDG_CACHE_HOME:-~/.cache}/wasmill-tools}/js, where `wasmill plugin build` finds them for a project that has none of its
# own. A second run takes no time.
set -euo pipefail
cd "$(dirname "$0")/../.."

node_major_min=20
tools=${WASMILL_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/wasmill-tools}/js

fail() { echo "js.sh: $*" >&2; exit 1; }

major() { # Of the node on the PATH; 0 without one.
  local version
  version=$(node --version 2>/dev/null || echo v0)
  version=${version#v}
  echo "${version%%.*}"
}

install_node() {
  if (($(major) >= node_major_min)) && command -v npm >/dev/null; then return; fi
  local hint="apt-get install nodejs npm"
  [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || fail "node $node_major_min or later and npm are needed: $hint"
  (apt-get update -qq && apt-get install -y -qq nodejs npm) >&2 || fail "$hint failed"
  (($(major) >= node_major_min)) || fail "node is $(node --version), but $node_major_min or later is needed: this system's packages are too old"
}

install_packages() {
  local lock=plugin-sdk/js/package-lock.json
  if cmp -s "$lock" "$tools/installed"; then return; fi
  rm -rf "$tools"
  mkdir -p "$tools"
  cp plugin-sdk/js/package.json "$lock" "$tools"
  # `install`, which takes the lock's versions, and not `ci`: that refuses a lock without the optional packages of other systems.
  # No package's own scripts: none of these needs one, and a script could fetch what is not in the lock.
  npm install --prefix "$tools" --ignore-scripts --no-audit --no-fund --loglevel=error >&2 || fail "npm could not install the packages"
  cp "$lock" "$tools/installed" # The last step: an installation that was cut off is begun anew.
}

install_node
install_packages
echo "js: node $(node --version), packages in $tools"
