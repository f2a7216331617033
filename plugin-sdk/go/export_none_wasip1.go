//go:build !wasmill_transform && !wasmill_keyed && !wasmill_aggregate

package wasmill

// Built by hand, without a tag: the module exports no kind, and is no plugin.
const exportedKind = "none"
