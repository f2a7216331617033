//! `wasmill plugin check`.

use super::build::Format;
use super::stop::Stop;
use super::subject::{self, Config, Limits};
use crate::cli::exit::Exit;
use crate::cli::folders;
use crate::cli::report::{counted, grouped};
use clap::Args;
use serde::Serialize;
use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use wasmill::plugin::{Inspection, Instance, Opened, PluginEngine, PluginError};
use wasmill::schema::{Field, Slot};

/// `wasmill plugin check`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  wasmill plugin check build/big-spender.wasm
  wasmill plugin check build/big-spender.wasm --config '{\"max_amount\": 100}'
  wasmill plugin check big-spender/ -o json | jq .reads")]
pub(crate) struct Check {
    /// The component, or the folder of a project that was built
    #[arg(value_name = "FILE.wasm", default_value = ".")]
    file: PathBuf,

    /// The config to open it with: a JSON object, or @FILE.json or @FILE.toml
    #[arg(long, value_name = "JSON", value_parser = subject::config)]
    config: Option<Config>,

    #[command(flatten)]
    limits: Limits,

    /// How to say it
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// All that is known of a component.
#[derive(Debug, Serialize)]
struct Report {
    file: PathBuf,
    ok: bool,
    /// Why wasmill would refuse it.
    errors: Vec<String>,
    bytes: usize,
    /// The sha256 of the file.
    digest: String,
    kind: Option<&'static str>,
    /// Whether it brings state of the version before its own along; none where it cannot be asked.
    migration: Option<bool>,
    imports: Vec<String>,
    exports: Vec<String>,
    compile_ms: f64,
    /// True where it was found compiled.
    compile_cached: bool,
    open_ms: Option<f64>,
    #[serde(flatten)]
    opened: Option<Declared>,
}

/// What the component says of itself.
#[derive(Debug, Serialize)]
struct Declared {
    name: String,
    version: String,
    description: String,
    /// As JSON where it is that, otherwise as text; none where the plugin has none.
    config_schema: Option<serde_json::Value>,
    state_version: u32,
    reads: Vec<FieldReport>,
    ports: Vec<PortReport>,
}

#[derive(Debug, Serialize)]
struct PortReport {
    name: String,
    /// Empty where records pass through it unchanged.
    fields: Vec<FieldReport>,
}

#[derive(Debug, Serialize)]
struct FieldReport {
    slot: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    kind: &'static str,
    required: bool,
}

impl From<&Field> for FieldReport {
    fn from(field: &Field) -> Self {
        let (slot, name) = match &field.slot {
            Slot::Field(name) => ("field", Some(name)),
            Slot::Header(name) => ("header", Some(name)),
            Slot::Value => ("value", None),
            Slot::Key => ("key", None),
            Slot::Time => ("time", None),
            Slot::Topic => ("topic", None),
            Slot::Partition => ("partition", None),
            Slot::Offset => ("offset", None),
            Slot::WindowStart => ("window-start", None),
            Slot::WindowEnd => ("window-end", None),
        };
        FieldReport { slot, name: name.map(|it| it.to_string()), kind: field.kind.name(), required: field.required }
    }
}

impl From<Opened> for Declared {
    fn from(opened: Opened) -> Self {
        let Opened { info, spec } = opened;
        let schema = match serde_json::from_str(&info.config_schema) {
            Ok(schema) => Some(schema),
            Err(_) if info.config_schema.is_empty() => None,
            Err(_) => Some(info.config_schema.into()),
        };
        let ports = spec.ports.into_iter();
        Declared {
            name: info.name,
            version: info.version,
            description: info.description,
            config_schema: schema,
            state_version: spec.state_version,
            reads: spec.reads.iter().map(FieldReport::from).collect(),
            ports: ports
                .map(|it| PortReport { name: it.name, fields: it.fields.iter().map(FieldReport::from).collect() })
                .collect(),
        }
    }
}

/// Says what the component is; 78 where a pipeline would refuse it.
pub(crate) fn check(options: &Check) -> Exit {
    let report = match look(options) {
        Ok(report) => report,
        Err(stop) => return stop.report(),
    };
    let (mut stdout, mut stderr) = (std::io::stdout(), std::io::stderr());
    // A reader that has closed the pipe has read enough.
    let _ = match options.output {
        Format::Json => serde_json::to_writer(&mut stdout, &report).map_err(Into::into).and_then(|()| writeln!(stdout)),
        Format::Text => {
            let errors: String = report.errors.iter().map(|it| format!("error: {it}\n")).collect();
            stdout.write_all(text(&report).as_bytes()).and_then(|()| stderr.write_all(errors.as_bytes()))
        }
    };
    if report.ok { Exit::Done } else { Exit::Config }
}

#[expect(clippy::disallowed_methods, reason = "how long it took is told to a person")]
fn look(options: &Check) -> Result<Report, Stop> {
    let file = subject::component(&options.file)?;
    let engine = PluginEngine::new(folders::compiled().as_deref())?;
    let started = Instant::now();
    let Inspection { bytes, digest, imports, exports, plugin } = Inspection::of(&engine, &file);
    let compile = started.elapsed();
    let mut report = Report {
        file,
        ok: false,
        errors: Vec::new(),
        bytes,
        digest,
        kind: None,
        migration: None,
        imports,
        exports,
        compile_ms: ms(compile),
        compile_cached: engine.cache_hits() > 0,
        open_ms: None,
        opened: None,
    };
    let plugin = match plugin {
        Ok(plugin) => plugin,
        Err(reasons) => {
            report.errors = reasons.iter().map(ToString::to_string).collect();
            return Ok(report);
        }
    };
    report.kind = Some(plugin.kind().name());
    let config = subject::config_or_empty(options.config.as_ref());
    match Instance::start(&plugin, &config, &options.limits.limits()) {
        Ok((instance, opened)) => {
            let started = instance.started();
            report.open_ms = Some(ms(started.instantiate + started.open));
            report.migration = Some(instance.migrates(&opened.spec));
            report.opened = Some(opened.into());
            report.ok = true;
        }
        // Each thing that is wrong for itself.
        Err(PluginError::Spec { plugin, source }) => {
            report.errors.extend(source.iter().map(|it| format!("plugin {plugin}: {it}")));
        }
        Err(error) => report.errors.push(advised(&error, options.config.is_none())),
    }
    Ok(report)
}

/// A plugin may need a config to open at all: then that is what to give.
fn advised(error: &PluginError, without_config: bool) -> String {
    match error {
        PluginError::Config { .. } if without_config => {
            format!("{error}; it was opened with {{}}: give another one with --config")
        }
        _ => error.to_string(),
    }
}

fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// The report for a person: a line a fact, fields in columns.
fn text(report: &Report) -> String {
    let mut text = String::new();
    let kind = report.kind.map_or_else(|| "no plugin".to_owned(), |it| format!("{} plugin", article(it)));
    let _ = match (&report.opened, report.ok) {
        (Some(opened), _) => writeln!(text, "{} {}: ok: {kind}", opened.name, opened.version),
        (None, _) => writeln!(text, "{}: refused: {kind}", report.file.display()),
    };
    let mut line = |what: &str, value: &str| {
        let _ = writeln!(text, "  {what:<9}  {value}");
    };
    if let Some(opened) = report.opened.as_ref().filter(|it| !it.description.is_empty()) {
        line("about", &opened.description);
    }
    line("file", &format!("{}, {} bytes", report.file.display(), grouped(report.bytes as u64)));
    if !report.digest.is_empty() {
        line("sha256", &report.digest);
    }
    if let Some(opened) = &report.opened {
        declared(opened, report, &mut line);
    }
    if !report.imports.is_empty() {
        line("imports", &report.imports.join(", "));
    }
    let cached = if report.compile_cached { ", found compiled" } else { "" };
    line("compile", &format!("{:.1} ms{cached}", report.compile_ms));
    if let Some(open_ms) = report.open_ms {
        line("open", &format!("{open_ms:.2} ms"));
    }
    if !report.errors.is_empty() {
        let _ = writeln!(text, "  {}", counted(report.errors.len() as u64, "error"));
    }
    text
}

fn declared(opened: &Declared, report: &Report, line: &mut impl FnMut(&str, &str)) {
    list("reads", &opened.reads, line);
    for port in &opened.ports {
        let name = format!("port {}", port.name);
        if port.fields.is_empty() {
            line(&name, "records, unchanged");
        }
        list(&name, &port.fields, line);
    }
    if report.kind != Some("transform") {
        let version = opened.state_version;
        line(
            "state",
            &match report.migration {
                Some(true) => format!("version {version}, migrates version {}", version.saturating_sub(1)),
                _ => format!("version {version}, no migration"),
            },
        );
    }
    match &opened.config_schema {
        Some(schema) => line("config", &schema.to_string()),
        None => line("config", "without a schema"),
    }
}

fn list(what: &str, fields: &[FieldReport], line: &mut impl FnMut(&str, &str)) {
    let name = |it: &FieldReport| match (&it.name, it.slot) {
        (Some(name), "field") => name.clone(),
        (Some(name), slot) => format!("({slot} {name})"),
        (None, slot) => format!("({slot})"),
    };
    let width = fields.iter().map(|it| name(it).chars().count()).max().unwrap_or(0);
    for (row, field) in fields.iter().enumerate() {
        let what = if row == 0 { what } else { "" };
        let required = if field.required { "  required" } else { "" };
        line(what, format!("{:width$}  {:<7}{required}", name(field), field.kind).trim_end());
    }
}

/// `a keyed`, `an aggregate`.
pub(super) fn article(kind: &str) -> String {
    format!("{} {kind}", if kind.starts_with('a') { "an" } else { "a" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn refused(file: &str) -> Report {
        Report {
            file: file.into(),
            ok: false,
            errors: vec!["one".to_owned(), "two".to_owned()],
            bytes: 1_234,
            digest: "ab".to_owned(),
            kind: None,
            migration: None,
            imports: vec!["wasi:io/streams@0.2.6".to_owned()],
            exports: Vec::new(),
            compile_ms: 1.5,
            compile_cached: true,
            open_ms: None,
            opened: None,
        }
    }

    #[test]
    fn what_is_refused_is_shown_as_far_as_it_is_known() {
        expect![[r#"
            rule.wasm: refused: no plugin
              file       rule.wasm, 1,234 bytes
              sha256     ab
              imports    wasi:io/streams@0.2.6
              compile    1.5 ms, found compiled
              2 errors
        "#]]
        .assert_eq(&text(&refused("rule.wasm")));
    }

    #[test]
    fn a_plugin_that_needs_a_config_is_refused_with_how_to_give_one() {
        let error = PluginError::Config { plugin: "a.wasm".to_owned(), reason: "no `max`".to_owned() };
        expect!["plugin a.wasm: refuses its config: no `max`; it was opened with {}: give another one with --config"]
            .assert_eq(&advised(&error, true));
        assert_eq!(advised(&error, false), error.to_string());
    }

    #[test]
    fn fields_stand_in_columns_and_slots_in_brackets() {
        let field = |slot, kind, required| FieldReport::from(&Field { slot, kind, required });
        use wasmill::column::Kind;
        let fields = [
            field(Slot::Field("card.country".into()), Kind::Text, true),
            field(Slot::Header("trace".into()), Kind::Bytes, false),
            field(Slot::Time, Kind::S64, true),
        ];
        let mut text = String::new();
        list("reads", &fields, &mut |what, value| {
            let _ = writeln!(text, "{what:<7}{value}");
        });
        expect![[r#"
            reads  card.country    text     required
                   (header trace)  bytes
                   (time)          s64      required
        "#]]
        .assert_eq(&text);
    }
}
