//! What the boundary costs, and nothing else: every record's bytes go into the plugin and come out of it.

use serde::Deserialize;
use wasmill_plugin::prelude::*;

/// The record's value, undecoded.
#[derive(Record)]
struct Whole<'a> {
    #[slot(value)]
    value: &'a [u8],
}

/// The same bytes as the output's value.
#[derive(Emit)]
struct Copied<'a> {
    #[slot(value)]
    value: &'a [u8],
}

/// The step's `config`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// True: name the records that go on, and leave their bytes to the host. False: write the bytes again.
    pass: bool,
}

/// Gives every record back.
#[wasmill_plugin::transform]
fn echo(whole: Whole<'_>, config: &Config, out: &mut Output<Copied<'_>>) {
    if config.pass {
        out.pass();
    } else {
        out.emit(Copied { value: whole.value });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use wasmill_plugin::testing::TransformTest;

    #[test]
    fn a_record_comes_back_as_bytes_or_by_name() {
        let run = |config| TransformTest::<echo>::new(config).run([json!({"a": 1}), json!({"a": 2})]);
        let (copied, passed) = (run(json!({})), run(json!({"pass": true})));
        assert_eq!((copied.emitted.len(), copied.passed()), (2, vec![]));
        assert_eq!((passed.emitted.len(), passed.passed()), (2, vec![0, 1]));
    }
}
