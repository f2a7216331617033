#!/usr/bin/env bash
# Measures what a rule costs in each language: builds the plugins of bench/plugins/ into a folder, runs `wasmill plugin bench` on each, and prints
# one table in Markdown. Figures beside a limit are of the fastest style that the language's SDK has; the limit is one and a half times what
# bindings written by hand cost (Python: what they cost over raw bytes).
#
#   scripts/bench-plugins.sh WASMILL FOLDER        WASMILL of a release build; SECONDS_EACH=3 for each rule
set -euo pipefail
cd "$(dirname "$0")/.."
wasmill=${1:?usage: scripts/bench-plugins.sh WASMILL FOLDER}
folder=${2:?usage: scripts/bench-plugins.sh WASMILL FOLDER}
seconds=${SECONDS_EACH:-3}
mkdir -p "$folder"

{
  for rule in filter columns count; do
    "$wasmill" plugin build "bench/plugins/rust/$rule" --out "$folder/$rule-rust.wasm"
  done
  scripts/languages.sh "$wasmill" "$folder" bench/plugins
} >&2

for manifest in bench/plugins/*/*/{Cargo,plugin}.toml; do
  [[ -f $manifest ]] || continue
  project=${manifest%/*}
  language=$(basename "$(dirname "$project")")
  rule=$(basename "$project")
  echo "bench-plugins: $language $rule" >&2
  "$wasmill" plugin bench "$folder/$rule-$language.wasm" --batch 1024 --seconds "$seconds" -o json >"$folder/$rule-$language.json"
done

python3 - "$folder" <<'PYTHON'
import json, pathlib, sys

RULES = ("filter", "columns", "count")
STYLES = {
    "rust": {"records": ""},
    "c": {"records": ""},
    "go": {"columns": "", "records": "-rows"},
    "js": {"columns": "", "records": "-rows"},
    "python": {"columns": "", "records": "-rows"},
}
# One and a half times the bindings by hand, ns a record.
LIMITS = {"rust": (6, 15, 4.5), "c": (3, 10.5, 3), "go": (24, 54, 25.5), "js": (268, 1228, 216), "python": (331, 873, None)}
NAMES = {"rust": "Rust", "c": "C", "go": "Go", "js": "JavaScript", "python": "Python"}

folder = pathlib.Path(sys.argv[1])


def figures(language, rule, style):
    return json.loads((folder / f"{rule}{style}-{language}.json").read_text())


def number(ns):
    return f"{ns:.1f}" if ns < 20 else f"{ns:,.0f}"


def limit(language, at):
    found = LIMITS[language][at]
    return "" if found is None else f" ({found:g})"


def spread(values, form):
    low, high = form(min(values)), form(max(values))
    return low if low == high else f"{low}-{high}"


def mib(value):
    return f"{value / 2**20:.1f}" if value < 10 * 2**20 else f"{value / 2**20:.0f}"


header = ["", "filter", "two columns", "count", "component", "compile", "instantiate", "memory"]
units = ["", "ns a record (limit)", "ns a record (limit)", "ns a record (limit)", "KiB", "ms of CPU", "us", "MiB, start -> end"]
print("| " + " | ".join(header) + " |\n|" + "---|" * len(header) + "\n| " + " | ".join(units) + " |")
for language, styles in STYLES.items():
    for style, suffix in styles.items():
        all = [figures(language, rule, suffix) for rule in RULES]
        limits = [limit(language, at) if suffix == "" else "" for at in range(len(RULES))]
        cells = [f"{NAMES[language]}, over {style}"]
        cells += [number(it["batches"][0]["best_ns"]) + limits[at] for at, it in enumerate(all)]
        cells.append(spread([it["bytes"] for it in all], lambda it: f"{it / 1024:,.0f}"))
        cells.append(spread([it["compile_cpu_ms"] for it in all], lambda it: f"{it:,.0f}"))
        cells.append(spread([it["instantiate_us"] for it in all], lambda it: f"{it:,.0f}"))
        start, end = (spread([it[f"memory_{at}_bytes"] for it in all], mib) for at in ("start", "end"))
        cells.append(f"{start} -> {end}")
        print("| " + " | ".join(cells) + " |")
PYTHON
