//! A definition with another plugin in the place of a step's, and all else as its author wrote it: comments and order stay.

use super::document::inline;
use crate::daemon::problem::{Code, Problem};
use toml_edit::{DocumentMut, Item, Value};

/// `definition` with `plugin` and, where it is given, `config` in the step `step`.
///
/// # Errors
/// There is no such step, or the configuration has a null, which TOML does not.
pub(super) fn with_plugin(
    definition: &str,
    step: &str,
    plugin: &str,
    config: Option<&serde_json::Value>,
) -> Result<String, Problem> {
    let refuse = |why: String| Problem::new(Code::UpgradeRefused, why);
    let mut document: DocumentMut =
        definition.parse().map_err(|error| Problem::internal("cannot read the definition", error))?;
    let steps = document.get_mut("steps").and_then(Item::as_table_like_mut);
    let known: Vec<String> =
        steps.iter().flat_map(|it| it.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>()).collect();
    let table = steps.and_then(|it| it.get_mut(step)).and_then(Item::as_table_like_mut).ok_or_else(|| {
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        refuse(format!("found the step `{step}`, but the steps of the pipeline are: {known}"))
    })?;
    let mut put = |key: &str, mut value: Value| {
        if let Some(old) = table.get(key).and_then(Item::as_value) {
            *value.decor_mut() = old.decor().clone();
        }
        table.insert(key, Item::Value(value));
    };
    put("plugin", Value::from(plugin));
    if let Some(config) = config {
        let text = inline(&format!("steps.{step}.config"), config).map_err(|it| refuse(it.detail.into()))?;
        let value = text.parse().map_err(|error| Problem::internal("cannot write the configuration", error))?;
        put("config", value);
    }
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(definition: &str, config: Option<serde_json::Value>, expected: Expect) {
        expected.assert_eq(&with_plugin(definition, "a", "p@2.0.0", config.as_ref()).unwrap());
    }

    #[test]
    fn only_the_plugin_and_its_configuration_change() {
        let config = serde_json::json!({"max": 5, "names": ["x\u{7f}", "y"], "deep": {"on": true, "rate": 1.5}});
        let text = "name = \"n\" # mine\n\n[steps.a] # rules\nfrom = \"in\"\nplugin =  'p@1.0.0'  # first\n\n[sinks.a]\nfrom = \"a\"\n";
        check(
            text,
            None,
            expect![[r#"
            name = "n" # mine

            [steps.a] # rules
            from = "in"
            plugin =  "p@2.0.0"  # first

            [sinks.a]
            from = "a"
        "#]],
        );
        check(
            "[steps.a]\nplugin = \"p@1.0.0\"\n[steps.a.config]\nmax = 1\n[steps.b]\nfrom = \"a\"\n",
            Some(config),
            expect![[r#"
                [steps.a]
                plugin = "p@2.0.0"
                config = { "deep" = { "on" = true, "rate" = 1.5 }, "max" = 5, "names" = ["x\u007f", "y"] }
                [steps.b]
                from = "a"
            "#]],
        );
        check(
            "steps = { a = { plugin = \"p@1.0.0\", key = \"k\" } }\n",
            Some(serde_json::json!({})),
            expect![[r#"
                steps = { a = { plugin = "p@2.0.0", key = "k" , config = {  } } }
            "#]],
        );
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        let refused = |step: &str, config| with_plugin("[steps.a]\n", step, "p@1.0.0", config).unwrap_err().detail;
        assert_eq!(&*refused("b", None), "found the step `b`, but the steps of the pipeline are: `a`");
        let null = serde_json::json!({"x": null});
        assert!(refused("a", Some(&null)).starts_with("steps.a.config.x: found null"));
    }
}
