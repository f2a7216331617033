//! `wasmill plugin push|list|show|delete`: the catalog of a daemon.

use super::ask::Yes;
use super::server::{Carries, part};
use super::table::{list, table};
use super::{Client, Failure, finish};
use crate::cli::exit::Exit;
use crate::cli::live::LiveLine;
use crate::cli::report::grouped;
use clap::{Args, Subcommand};
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use ureq::http::Method;
use wasmill::config::PluginLimits;
use wasmill::daemon::api::{PluginField, PluginList, PluginVersion};
use wasmill::plugin::{Instance, Plugin, PluginEngine};

/// The commands about a daemon's catalog.
#[derive(Debug, Subcommand)]
pub(crate) enum Remote {
    /// Upload a component to a daemon, which checks and compiles it
    ///
    /// A version that is stored never changes: the same component again is no change, another one is refused.
    Push(Push),
    /// List the plugins of a daemon
    List(List),
    /// Show a plugin of a daemon: what it reads and writes, and which pipelines use it
    Show(Show),
    /// Remove a version from a daemon; one that a pipeline uses stays
    Delete(Delete),
}

/// `wasmill plugin push`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  wasmill plugin push build/big-spender.wasm                       under the name and version that it gives itself
  wasmill plugin push build/big-spender.wasm --as big-spender@1.2.0")]
pub(crate) struct Push {
    /// The component
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,

    /// The name and version to store it under [default: what it calls itself]
    #[arg(long = "as", value_name = "NAME@VERSION", value_parser = name_version)]
    named: Option<(String, String)>,

    #[command(flatten)]
    client: Client,
}

/// `wasmill plugin list`.
#[derive(Args, Debug)]
pub(crate) struct List {
    /// Only the versions of this plugin
    #[arg(value_name = "NAME")]
    name: Option<String>,

    #[command(flatten)]
    client: Client,
}

/// `wasmill plugin show`.
#[derive(Args, Debug)]
pub(crate) struct Show {
    /// Which version
    #[arg(value_name = "NAME@VERSION", value_parser = name_version)]
    plugin: (String, String),

    #[command(flatten)]
    client: Client,
}

/// `wasmill plugin delete`.
#[derive(Args, Debug)]
pub(crate) struct Delete {
    /// Which version
    #[arg(value_name = "NAME@VERSION", value_parser = name_version)]
    plugin: (String, String),

    #[command(flatten)]
    yes: Yes,

    #[command(flatten)]
    client: Client,
}

fn name_version(text: &str) -> Result<(String, String), String> {
    match text.split_once('@') {
        Some((name, version)) if !name.is_empty() && !version.is_empty() => Ok((name.to_owned(), version.to_owned())),
        _ => Err("expected NAME@VERSION, such as fraud-rules@1.0.0".to_owned()),
    }
}

/// Does what was asked for.
pub(crate) fn remote(command: &Remote) -> Exit {
    finish(match command {
        Remote::Push(options) => push(options),
        Remote::List(options) => list_plugins(options),
        Remote::Show(options) => show(options),
        Remote::Delete(options) => delete(options),
    })
}

fn address(plugin: &(String, String)) -> String {
    format!("/api/v1/plugins/{}/versions/{}", part(&plugin.0), part(&plugin.1))
}

fn push(options: &Push) -> Result<String, Failure> {
    let wrong = |error: io::Error| Failure::Input(format!("{}: {error}", options.file.display()));
    let named = match &options.named {
        Some(named) => named.clone(),
        None => own_name(&options.file)?,
    };
    let file = File::open(&options.file).map_err(wrong)?;
    let bytes = file.metadata().map_err(wrong)?.len();
    let live = io::stderr().is_terminal().then(LiveLine::default);
    let mut upload = Progress { file, sent: 0, bytes, live: live.clone(), label: format!("{}@{}", named.0, named.1) };
    let carries = Carries::File(&mut upload, bytes, "application/wasm");
    let stored = options.client.ask::<PluginVersion>(Method::PUT, &address(&named), carries);
    live.iter().for_each(LiveLine::clear);
    let stored = stored?;
    options.client.say(&stored, |it| {
        let head = format!("{}@{} is stored: sha256:{}\n", it.name, it.version, it.digest);
        it.notes.iter().fold(head, |text, note| text + &format!("note: {note}\n"))
    })
}

/// What a component calls itself: it is asked here, in the sandbox.
fn own_name(file: &Path) -> Result<(String, String), Failure> {
    let advice = "say under which name and version with --as NAME@VERSION";
    let ask = || -> Result<_, wasmill::plugin::PluginError> {
        let plugin = Plugin::load(&PluginEngine::new(None)?, file)?;
        Instance::describe(&plugin, &PluginLimits::default())
    };
    match ask() {
        Ok(info) if !info.name.is_empty() && !info.version.is_empty() => Ok((info.name, info.version)),
        Ok(_) => Err(Failure::Input(format!("{} gives itself no name or no version; {advice}", file.display()))),
        Err(error) => Err(Failure::Input(error.to_string())),
    }
}

/// A file on its way, with a bar on the terminal.
struct Progress {
    file: File,
    sent: u64,
    bytes: u64,
    live: Option<LiveLine>,
    label: String,
}

impl Read for Progress {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.sent += read as u64;
        if let Some(live) = &self.live {
            live.show(bar(&self.label, self.sent, self.bytes));
        }
        Ok(read)
    }
}

fn bar(label: &str, sent: u64, bytes: u64) -> String {
    const WIDTH: u64 = 30;
    if sent >= bytes {
        return format!("{label}  {} bytes sent, compiling", grouped(bytes));
    }
    let full = (sent * WIDTH / bytes.max(1)) as usize;
    let rest = WIDTH as usize - full;
    format!("{label}  [{}{}] {} of {} bytes", "=".repeat(full), " ".repeat(rest), grouped(sent), grouped(bytes))
}

fn list_plugins(options: &List) -> Result<String, Failure> {
    let path = match &options.name {
        Some(name) => format!("/api/v1/plugins/{}", part(name)),
        None => "/api/v1/plugins".to_owned(),
    };
    let plugins: PluginList = options.client.ask(Method::GET, &path, Carries::Nothing)?;
    options.client.say(&plugins, |it| {
        let row = |it: &PluginVersion| {
            let digest = it.digest.chars().take(12).collect();
            let pushed = it.pushed_at.to_string();
            [
                it.name.clone(),
                it.version.clone(),
                it.kind.clone(),
                grouped(it.bytes),
                digest,
                pushed,
                it.used_by.join(", "),
            ]
        };
        table(["NAME", "VERSION", "KIND", "BYTES", "SHA256", "PUSHED", "USED BY"], it.plugins.iter().map(row))
    })
}

fn show(options: &Show) -> Result<String, Failure> {
    let plugin: PluginVersion = options.client.ask(Method::GET, &address(&options.plugin), Carries::Nothing)?;
    options.client.say(&plugin, shown)
}

fn shown(plugin: &PluginVersion) -> String {
    let fields = |list: &[PluginField]| {
        let field = |it: &PluginField| format!("{} {}{}", it.slot, it.kind, if it.required { "" } else { "?" });
        list.iter().map(field).collect::<Vec<_>>().join(", ")
    };
    let port = |it: &wasmill::daemon::api::PluginPort| match &it.fields[..] {
        [] => format!("{}: what it read", it.name),
        some => format!("{}: {}", it.name, fields(some)),
    };
    list(&[
        ("name", plugin.name.clone()),
        ("version", plugin.version.clone()),
        ("what", plugin.describes_itself.description.clone()),
        ("kind", plugin.kind.clone()),
        ("sha256", plugin.digest.clone()),
        ("bytes", grouped(plugin.bytes)),
        ("compiled in", format!("{} ms", grouped(plugin.compile_ms))),
        ("reads", fields(&plugin.reads)),
        ("ports", plugin.ports.iter().map(port).collect::<Vec<_>>().join("\n")),
        ("state version", plugin.state_version.map(|it| it.to_string()).unwrap_or_default()),
        ("migrates", plugin.migrates.map_or("", |it| if it { "yes" } else { "no" }).to_owned()),
        ("imports", plugin.imports.join("\n")),
        ("pushed", format!("{} by {}", plugin.pushed_at, plugin.pushed_by)),
        ("used by", plugin.used_by.join(", ")),
        ("notes", plugin.notes.join("\n")),
    ])
}

fn delete(options: &Delete) -> Result<String, Failure> {
    let (name, version) = &options.plugin;
    options.yes.confirm(&format!("Remove {name}@{version} from {}?", options.client.server))?;
    options.client.ask_text(Method::DELETE, &address(&options.plugin), Carries::Nothing)?;
    Ok(format!("{name}@{version} is removed\n"))
}
