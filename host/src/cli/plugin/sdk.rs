//! The SDKs and their templates, as they were when this binary was built: an author needs no repository.

/// A file of an SDK.
pub(crate) struct File {
    /// Below `plugin-sdk/LANGUAGE/`.
    pub(crate) path: &'static str,
    pub(crate) bytes: &'static [u8],
    language: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/sdk.rs"));

/// All files of one language: the library, and what is below `templates*/`.
pub(crate) fn files(language: &str) -> impl Iterator<Item = &'static File> {
    FILES.iter().filter(move |it| it.language == language)
}
