"""Writes include/wasmill/interfaces.h: what a module says of the interfaces that it exports, taken from wit/wasmill.wit.

For whoever changes the WIT. It needs `wasm-tools` on the PATH and writes the same bytes each time:

    python3 plugin-sdk/c/scripts/interfaces.py
"""

import pathlib
import subprocess
import tempfile

SDK = pathlib.Path(__file__).resolve().parent.parent
WIT = SDK.parent.parent / "wit" / "wasmill.wit"
IMPORTS = "import wasmill:plugin/logging@0.1.0; import wasmill:plugin/metrics@0.1.0; "
INTERFACES = ["lifecycle", "transform", "keyed", "aggregate", "migration"]
HEAD = """/* Written by scripts/interfaces.py from wit/wasmill.wit. Do not edit.
 *
 * Each macro puts a section into the module that tells which interface it exports, with all types: what makes a component of it
 * reads that. The sections of a module are united, so a plugin names the interfaces that it has and no others. */
#ifndef WASMILL_INTERFACES_H
#define WASMILL_INTERFACES_H
"""


def worlds() -> str:
    """One world for each interface; what a plugin may import goes with the one that every plugin has."""
    lines = ["package wasmill:c-sdk;"]
    for name in INTERFACES:
        imports = IMPORTS if name == "lifecycle" else ""
        lines.append(f"world {name} {{ {imports}export wasmill:plugin/{name}@0.1.0; }}")
    return "\n".join(lines)


def leb128(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def section(module: bytes) -> bytes:
    """The content of the only custom section of `module`."""
    at = 8
    while at < len(module):
        kind = module[at]
        size, at = leb128(module, at + 1)
        if kind == 0:
            name, start = leb128(module, at)
            return module[start + name : at + size]
        at += size
    raise SystemExit("wasm-tools wrote no section")


def macro(name: str, content: bytes) -> str:
    """A file-level `asm`, because C has no other way to write a section that is no data of the program."""
    rows = [content[at : at + 24] for at in range(0, len(content), 24)]
    text = " \\\n".join('        "' + "".join(f"\\\\{byte:03o}" for byte in row) + '"' for row in rows)
    return (
        f"\n#define WM_INTERFACE_{name.upper()} \\\n"
        f'    __asm__(".section \\".custom_section.component-type:wasmill-{name}\\",\\"\\",@\\n.ascii \\"" \\\n'
        f'{text} \\\n        "\\"\\n.text\\n")\n'
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        wit = pathlib.Path(folder, "wit")
        (wit / "deps").mkdir(parents=True)
        (wit / "deps" / "wasmill.wit").write_text(WIT.read_text())
        (wit / "sdk.wit").write_text(worlds())
        empty = pathlib.Path(folder, "empty.wat")
        empty.write_text("(module)")
        out = pathlib.Path(folder, "out.wasm")
        macros = []
        for name in INTERFACES:
            subprocess.run(["wasm-tools", "component", "embed", wit, "-w", name, empty, "-o", out], check=True)
            macros.append(macro(name, section(out.read_bytes())))
    (SDK / "include" / "wasmill" / "interfaces.h").write_text(HEAD + "".join(macros) + "\n#endif\n")


if __name__ == "__main__":
    main()
