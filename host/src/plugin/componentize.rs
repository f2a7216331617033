//! From a core module to a component: what `plugin build` does last for the languages whose compilers stop at a module.

use super::error::LoadError;
use super::{PluginKind, wasi_stub};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The boundary, as text: `wit/wasmill.wit`.
pub const WIT: &str = include_str!("../../../wit/wasmill.wit");

/// What a guest exports: the interfaces of its kind, and `migration` where it can bring older state to its own version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct World {
    /// The kind of plugin.
    pub kind: PluginKind,
    /// True when `migration` is exported as well.
    pub migration: bool,
}

impl World {
    /// The world's name within [`World::wit`].
    pub const NAME: &str = "guest";

    /// The world as a package of its own, which stands on the one of [`WIT`].
    ///
    /// ```
    /// # use wasmill::plugin::{PluginKind, World};
    /// let wit = World { kind: PluginKind::Keyed, migration: true }.wit();
    /// assert!(wit.contains("include wasmill:plugin/keyed-plugin@0.1.0;"));
    /// ```
    pub fn wit(self) -> String {
        let migration = if self.migration { "    export wasmill:plugin/migration@0.1.0;\n" } else { "" };
        format!(
            "package wasmill:guest;\n\nworld {} {{\n    include wasmill:plugin/{}-plugin@0.1.0;\n{migration}}}\n",
            Self::NAME,
            self.kind
        )
    }
}

/// Makes a component of `module`, which messages call `label`. With a `world` the module is one that does not carry its WIT; without, it
/// carries it.
///
/// # Errors
/// [`LoadError::Imports`] where it needs a system below it, else [`LoadError::Invalid`]: an export that the world asks for is missing, an import
/// is nobody's, or the module is not valid.
pub fn componentize(label: &str, module: &[u8], world: Option<World>) -> Result<Vec<u8>, LoadError> {
    let encoded = match world {
        Some(world) => embed(module, world).and_then(|it| encode(&it)),
        None => encode(module),
    };
    encoded.map_err(|detail| {
        if detail.contains("wasi_snapshot_preview1") {
            return LoadError::Imports {
                plugin: label.to_owned(),
                imports: "wasi_snapshot_preview1".to_owned(),
                capabilities: " (no files, clock, environment or network)".to_owned(),
                hint: "build it with `wasmill plugin build`, or (Rust) with `--target wasm32-unknown-unknown`",
            };
        }
        LoadError::Invalid { plugin: label.to_owned(), detail: format!("no component can be made of it: {detail}") }
    })
}

fn encode(module: &[u8]) -> Result<Vec<u8>, String> {
    let adapted = |it: ComponentEncoder| it.adapter(wasi_stub::ADAPTER_NAME, &wasi_stub::adapter()?);
    let encoder = ComponentEncoder::default().validate(true).module(module).and_then(adapted);
    encoder.and_then(|mut it| it.encode()).map_err(|error| format!("{error:#}"))
}

/// The module with the section that says which world it is of.
fn embed(module: &[u8], world: World) -> Result<Vec<u8>, String> {
    let mut module = module.to_vec();
    let mut resolve = Resolve::default();
    let embedded = resolve
        .push_source("wasmill.wit", WIT)
        .and_then(|_| resolve.push_source("guest.wit", &world.wit()))
        .and_then(|package| resolve.select_world(&[package], Some(World::NAME)))
        .and_then(|world| embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8));
    embedded.map(|()| module).map_err(|error| format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_world_of_a_guest_resolves() {
        for kind in [PluginKind::Transform, PluginKind::Keyed, PluginKind::Aggregate] {
            for migration in [false, true] {
                // The empty module lacks every export, so that the error names one of this world.
                let empty = b"\0asm\x01\0\0\0";
                let error = componentize("empty", empty, Some(World { kind, migration })).unwrap_err().to_string();
                let missing = "failed to find export of interface `wasmill:plugin/";
                assert!(error.contains(missing), "{kind} {migration}: {error}");
            }
        }
    }
}
