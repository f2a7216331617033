#!/usr/bin/env bash
# Installs what builds and tests Python plugins: componentize-py and pytest, in the versions that plugin-sdk/python/requirements.txt pins, and
# the packages that the examples import. They go to $WASMILL_TOOLS/python, by default a folder of the user's cache; done again, it is quick.
set -euo pipefail
cd "$(dirname "$0")/../.."
tools="${WASMILL_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/wasmill-tools}/python"
requirements=$(cat plugin-sdk/python/requirements.txt example-plugins/python/*/requirements.txt | grep -v '^#' | sort -u)
done="$tools/installed.txt"

[[ -x "$tools/bin/componentize-py" && "$requirements" == "$(cat "$done" 2>/dev/null)" ]] && exit 0

# The tools run on 3.9 and later, the SDK's types need 3.11.
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo "Python 3.11 or later is missing (found: $(python3 --version 2>&1 || true)); install it with
  sudo apt-get install python3 python3-venv
and run this script again" >&2
  exit 1
fi
if ! python3 -m venv "$tools" 2>/dev/null; then
  rm -rf "$tools"
  if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null
    python3 -m venv "$tools"
  else
    echo "python3 with venv is missing; install it with
  sudo apt-get install python3-venv
and run this script again" >&2
    exit 1
  fi
fi
printf '%s\n' "$requirements" >"$tools/requirements.txt"
"$tools/bin/pip" install --quiet --disable-pip-version-check -r "$tools/requirements.txt"
printf '%s\n' "$requirements" >"$done"
