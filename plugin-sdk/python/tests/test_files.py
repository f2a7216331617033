"""What lies in the SDK beside the library."""

import hashlib
import pathlib

SDK = pathlib.Path(__file__).parent.parent


def test_the_adapters_were_built_from_the_sources_that_are_here():
    adapter = SDK / "adapter"
    sources = [adapter / "Cargo.toml", adapter / "Cargo.lock", *sorted((adapter / "src").glob("*.rs"))]
    sources += [SDK / "wit/python.wit", SDK / "wit/deps/wasmill/wasmill.wit"]
    digest = hashlib.sha256(b"".join(it.read_bytes() for it in sources)).hexdigest()
    assert (SDK / "adapters/SOURCES").read_text().strip() == digest, "run adapter/build.sh"


def test_the_boundary_is_the_hosts():
    assert (SDK / "wit/deps/wasmill/wasmill.wit").read_bytes() == (SDK / "../../wit/wasmill.wit").read_bytes()
