//! What is asked of the system in vain, named: the standard library's own words for it do not say what a plugin does not get.

/// What the standard library says where there is no system below it, and what was asked for.
const UNSUPPORTED: [(&str, &str); 2] = [
    ("time not implemented on this platform", "the clock is"),
    ("operation not supported on this platform", "files, sockets, processes and threads are"),
];

/// `message`, with the capability that is not to be had behind it, where it tells of one.
pub(crate) fn named(message: String) -> String {
    match UNSUPPORTED.iter().find(|(words, _)| message.contains(words)) {
        Some((_, capability)) => format!("{message} ({capability} not available to a plugin)"),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_plugin_does_not_get_is_named() {
        let named = |message: &str| named(message.to_owned());
        let error = "operation not supported on this platform";
        assert_eq!(
            named(error),
            format!("{error} (files, sockets, processes and threads are not available to a plugin)")
        );
        assert!(named("time not implemented on this platform").ends_with("(the clock is not available to a plugin)"));
        assert_eq!(named("no such thing"), "no such thing");
    }
}
