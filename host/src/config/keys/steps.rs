//! The keys of a step and of the tables in it.

use super::Absent::{self, Means, Required};
use super::Expects::{
    Boolean, Choice, ChoiceOr, Duration, DurationOr, FieldPairs, Fields, Integer, Map, SignedDuration, Size, Table,
    Text,
};
use super::{Key, Keys, LATE, key};

pub(in crate::config) static STEP: Keys = Keys {
    name: "a step",
    title: "`[steps.NAME]`",
    about: "One step. With a `plugin` it runs your code; with a `window` and `aggregate` it is a built-in window; with \
            a `window` and a `plugin` the plugin folds the windows; with a `join` it \
            makes one row of two inputs' records; with a `window` and `top` it ranks; with `dedupe` it drops duplicates; with none of \
            them it only drops records by `where` and renames fields by `select`.",
    keys: &[
        key(
            "from",
            Text,
            Required,
            "What it reads: the name of a source or step, or `STEP.PORT` for a plugin's side output.",
        ),
        key(
            "key",
            Fields,
            Means("no key; a window without a key has one for all records"),
            "The field or fields by which a window or a keyed plugin keeps records apart.",
        ),
        key(
            "plugin",
            Text,
            Means("no plugin"),
            "The component to run: a path such as `./rules.wasm`, relative to the pipeline file. Names and digests come \
             with the daemon.",
        ),
        key(
            "config",
            Map("anything; the plugin says what"),
            Means("`{}`"),
            "What the plugin is opened with, as a JSON object.",
        ),
        key(
            "limits",
            Table(&LIMITS),
            Means("the defaults below"),
            "What one call and one instance of the plugin may use.",
        ),
        key(
            "where",
            Text,
            Means("every record"),
            "Which records it reads, as SQL's `WHERE`: `amount > 100 and country in ('FR', 'DE') and note is not null`. \
             Comparisons (`=` `<>` `<` `<=` `>` `>=`), `between`, `in` and `is null` over fields, numbers, texts in single \
             quotes, `true` and `false`, joined by `and`, `or`, `not` and brackets. The others are counted and dropped.",
        ),
        key("window", Table(&WINDOW), Means("no window"), "How records are grouped by time."),
        key(
            "aggregate",
            Map(
                "output fields with an aggregate: `count()`, `sum(f)`, `min(f)`, `max(f)`, `avg(f)`, `first(f)`, `last(f)`, \
                 `distinct(f)`, `collect(f)` or `percentile(f, 99)`",
            ),
            Means("none; needed with a `window` without `plugin`"),
            "What is computed for each key and window. All but `count()` skip nulls; `first` and `last` are by event time, \
             `distinct` counts different values, `collect` lists all, and `percentile` is within 1 % of the value. A window's result holds the key's \
             fields, `window_start` and `window_end` (ms since the Unix epoch, the end exclusive) and these fields; a \
             rolling step adds them to every record.",
        ),
        key(
            "emit",
            ChoiceOr { now: &["on-close", "on-update"], table: &EMIT },
            Means("`\"on-close\"`; with `output = \"update\"`, `\"on-update\"`"),
            "When a window's result is written: once when it closes, after every record, or every so often for those \
             that changed. Not for rolling and count windows: they answer as records arrive.",
        ),
        key(
            "output",
            Choice { now: &["append", "update", "complete"], later: &[] },
            Means("what `emit` means"),
            "May be written to make it plain: `append` (a result is final) goes with `emit = \"on-close\"` and rolling \
             windows, `update` (a later result replaces an earlier one) with the others. `complete` goes with `emit = { every \
             = .. }`: each time something changed, all windows that are held are written.",
        ),
        key(
            "allowed_lateness",
            DurationOr("unlimited"),
            Means("`\"0s\"`"),
            "For how long after its close a window is held and accepts records; each of them is a result of its own unless \
             `emit.late` says otherwise.",
        ),
        key(
            "accumulate",
            Choice { now: &["accumulating", "discarding", "retracting"], later: &[] },
            Means("`\"accumulating\"`"),
            "What a window's second result holds: all its records, those since the result before, or all after a row \
             with `retraction = true` that repeats the result before (the field is `false` in all others).",
        ),
        key(
            "panes",
            Boolean,
            Means("`false`"),
            "Adds the fields `pane` (`early`, `on-time` or `late`) and `pane_index` (from 0) to a window's results.",
        ),
        key(
            "upsert",
            Boolean,
            Means("`false`"),
            "For a compacted topic: a result's record key is an object of the key's fields, `window_start` and \
             `window_end` (without these two for a `global` window), and a session that grows or merges away leaves a \
             tombstone. Read by sinks only.",
        ),
        key(
            "join",
            Table(&JOIN),
            Means("no join"),
            "Makes one row of records of two inputs that belong together. Its fields are `left.FIELD`, of what the step reads \
             `from`, and `right.FIELD`; `where` and `select` of the step are over these.",
        ),
        key(
            "late",
            LATE,
            Means("as the source's `event_time.late` says"),
            "What becomes of records whose windows have all closed, or that come too late for a join or to tell whether they are duplicates.",
        ),
        key(
            "select",
            Map("fields by their new name"),
            Means("all fields go on"),
            "Which fields go on, under which names and in which order: `{ user = \"customer_id\" }`.",
        ),
        key("dedupe", Table(&DEDUPE), Means("no dedupe"), "Drops the records that repeat one of the same `key`."),
        key(
            "top",
            Table(&TOP),
            Means("no top"),
            "With a `window`, in the place of `aggregate`: the best records of each window, and of each `key` where there is one.",
        ),
        key(
            "state_ttl",
            Duration { min_ms: 1, never: false },
            Means("state is kept until the plugin deletes it"),
            "For how long, in event time, the state of a key is kept after the last record or timer of that key. Only with a keyed `plugin`; \
             its timers are kept until they fire.",
        ),
    ],
};

// What the windows of a step and those of a join have in common.

const TUMBLING: Key = key(
    "tumbling",
    Duration { min_ms: 1, never: false },
    Means("-"),
    "Windows of this length, end to end, aligned to the Unix epoch.",
);

const HOPPING: Key =
    key("hopping", Duration { min_ms: 1, never: false }, Means("-"), "Windows of this length, one every `slide`.");

const SLIDE: Key = key(
    "slide",
    Duration { min_ms: 1, never: false },
    Means("-; needed with `hopping`"),
    "The time from one hopping window's start to the next one's; at most the length.",
);

const OFFSET: Key = key(
    "offset",
    Duration { min_ms: 0, never: false },
    Absent::Text("0s"),
    "Shifts the starts of tumbling windows (by less than their length) or hopping windows (by less than `slide`).",
);

pub(in crate::config) static WINDOW: Keys = Keys {
    name: "`window`",
    title: "`window` of a step",
    about: "One of `tumbling`, `hopping`, `session`, `rolling`, `sliding`, `calendar`, `count` and `global` says the kind.",
    keys: &[
        TUMBLING,
        HOPPING,
        SLIDE,
        key(
            "session",
            Duration { min_ms: 1, never: false },
            Means("-"),
            "Windows that end when a key has been silent for this long.",
        ),
        key(
            "boundary",
            Choice { now: &["exclusive", "inclusive"], later: &[] },
            Means("`\"exclusive\"`"),
            "Whether a silence of exactly `session` ends it (`exclusive`), or not (`inclusive`, as in Flink; what is one \
             session then depends on when the watermark moves).",
        ),
        key(
            "gap",
            Text,
            Means("`session` for every record"),
            "The field with a record's own gap in ms, at least 1; where it is null, `session` holds.",
        ),
        key(
            "rolling",
            Duration { min_ms: 1, never: false },
            Means("-"),
            "For every record at time `t`, the records of its key seen so far in `(t - length, t]`.",
        ),
        key(
            "sliding",
            Duration { min_ms: 1, never: false },
            Means("-"),
            "Every different set of records of a key that are at most this far apart, as Kafka Streams' sliding windows: one window that ends with \
             each record, and one that begins right after it where records follow. They are this length and 1 ms long; a window as long \
             as this every `slide` is `hopping`.",
        ),
        OFFSET,
        key(
            "time",
            Choice { now: &["event", "processing"], later: &[] },
            Absent::Text("event"),
            "`processing`: records of `tumbling`, `hopping`, `session` and `calendar` windows are grouped by when they come to the step, whatever \
             their own time. Windows close by the clock and nothing is late; what a result holds depends on when records \
             were read.",
        ),
        key(
            "calendar",
            Choice { now: &["day", "week", "month", "year"], later: &[] },
            Means("-"),
            "Windows of the calendar of `timezone`: from midnight to midnight, from Monday, from the first of the month or of \
             January. A day is 23 or 25 hours long where the clocks change.",
        ),
        key(
            "timezone",
            Text,
            Means("`\"UTC\"`"),
            "The time zone of `calendar`, as the IANA database names it: `\"Europe/Paris\"`. The database is part of wasmill.",
        ),
        key(
            "count",
            Integer { min: 1, max: 1_000_000_000 },
            Means("-"),
            "The last so many records of a key, in the order in which they arrive; `window_start` and `window_end` are those of \
             the earliest and after the latest of them. What is not full at the end is not written.",
        ),
        key(
            "every",
            Integer { min: 1, max: 1_000_000_000 },
            Means("`count`: end to end"),
            "After how many more records the next window of `count` is due; at most `count`.",
        ),
        key(
            "global",
            Boolean,
            Means("-"),
            "`true`: one window for all of time. It closes at the end of the input; `emit` says when it is written before. \
             `window_start` and `window_end` are those of the earliest and after the latest record so far.",
        ),
    ],
};

pub(in crate::config) static DEDUPE: Keys = Keys {
    name: "`dedupe`",
    title: "`dedupe` of a step",
    about: "Of the records of a `key` that are close to each other in event time the first to arrive goes on, unchanged; the others are \
            counted and dropped.",
    keys: &[key(
        "within",
        Duration { min_ms: 1, never: false },
        Required,
        "A record is a duplicate when it is less than this from one that went on, before or after it.",
    )],
};

pub(in crate::config) static TOP: Keys = Keys {
    name: "`top`",
    title: "`top` of a step",
    about: "Goes with any `window` but `rolling` and `count`, and with `emit = \"on-close\"`. Each window's best records go on as they are, from the best on, with the \
            fields `rank` (from 1), `window_start` and `window_end` added.",
    keys: &[
        key("k", Integer { min: 1, max: 10_000 }, Required, "How many records of a window go on, at most."),
        key(
            "by",
            Text,
            Required,
            "The field that ranks: a number, or a text where it is declared or made as one. A record in which it is null is not ranked. Of \
             equal ones the earlier is better, then the one whose record key is first.",
        ),
        key(
            "order",
            Choice { now: &["desc", "asc"], later: &[] },
            Absent::Text("desc"),
            "`desc`: the largest are best. `asc`: the smallest.",
        ),
    ],
};

pub(in crate::config) static JOIN: Keys = Keys {
    name: "`join`",
    title: "`join` of a step",
    about: "What the step reads `from` is the left input. `within` joins two streams; `as_of` joins a stream with a table, \
            which the right input is then: its records are the values of their keys, and a tombstone deletes. With `key` both are tables.",
    keys: &[
        key("with", Text, Required, "The right input: the name of a source or step, or `STEP.PORT`."),
        key(
            "on",
            FieldPairs,
            Means("-; needed"),
            "The fields that must be equal: `\"user_id\"`, a list of them, or `{ customer = \"id\" }` where the left input has \
             another name than the right. A null equals nothing.",
        ),
        key(
            "type",
            Choice { now: &["inner", "left", "outer"], later: &[] },
            Absent::Text("inner"),
            "`inner`: only rows that match. `left`: those of the left input that match nothing go on as well, with nulls for \
             the right. `outer`: those of both inputs; only with `within`.",
        ),
        key(
            "within",
            Table(&WITHIN),
            Means("-; needed without `as_of`"),
            "Two streams: how far apart in event time records match, or which window they must share.",
        ),
        key(
            "as_of",
            Choice { now: &["event-time", "latest"], later: &[] },
            Means("-; needed without `within`"),
            "A stream with a table: `event-time` joins each record with the value that its key had at the record's time, once \
             the watermark is there; `latest` with the value that it has when the record arrives.",
        ),
        key(
            "key",
            Fields,
            Means("-; needed without `within` and `as_of`"),
            "Two tables: the field or fields that are the left one's own key, while `on` says which of its fields name the key of the right \
             one. The result is a table by `key`: a change of either input writes the row anew, and a tombstone where it is no more. `inner` or `left`; \
             read by sinks only.",
        ),
    ],
};

pub(in crate::config) static WITHIN: Keys = Keys {
    name: "`within`",
    title: "`within` of a join",
    about: "With `before` and `after` a left record at `t` matches right records from `t - before` to `t + after`, both included. With one \
            of `tumbling`, `hopping` and `session` it matches those that are in the same window; rows are written when the window closes, with \
            the fields `window_start` and `window_end` (ms since the Unix epoch, the end exclusive) beside `left` and `right`.",
    keys: &[
        key("before", SignedDuration, Absent::Text("0s"), "How much earlier the right record may be."),
        key("after", SignedDuration, Absent::Text("0s"), "How much later the right record may be."),
        TUMBLING,
        HOPPING,
        SLIDE,
        key(
            "session",
            Duration { min_ms: 1, never: false },
            Means("-"),
            "Windows that end when a key has had no record of either input for this long.",
        ),
        OFFSET,
    ],
};

pub(in crate::config) static EMIT: Keys = Keys {
    name: "`emit`",
    title: "`emit` of a step, as a table",
    about: "Writes results before their windows close, whenever one of these is due and something changed, and again \
            when they close.",
    keys: &[
        key(
            "every",
            Duration { min_ms: 1, never: false },
            Means("never"),
            "After so much processing time, those that changed.",
        ),
        key(
            "event_time",
            Duration { min_ms: 1, never: false },
            Means("never"),
            "When the watermark passes a multiple of this.",
        ),
        key(
            "records",
            Integer { min: 1, max: i64::MAX },
            Means("never"),
            "After so many records of a window since its last result.",
        ),
        key(
            "late",
            Choice { now: &["per-record", "at-expiry"], later: &[] },
            Means("`\"per-record\"`"),
            "With `allowed_lateness`: late records are written one by one, or all together when the window expires.",
        ),
        key(
            "unchanged",
            Boolean,
            Means("`false`"),
            "Results that are due are written although nothing changed since the last one, and one when the window expires.",
        ),
    ],
};

pub(in crate::config) static LIMITS: Keys = Keys {
    name: "`limits`",
    title: "`limits` of a step with a plugin",
    about: "A plugin that goes past a limit loses its instance, and the record that made it do so is a bad record.",
    keys: &[
        key("call", Duration { min_ms: 1, never: false }, Absent::Text("5s"), "Wall time of one call."),
        key("memory", Size { min: 65_536 }, Absent::Text("256MiB"), "Memory of one instance."),
        key("output_bytes", Size { min: 1 }, Absent::Text("64MiB"), "Bytes that one call returns."),
        key(
            "output_rows_per_row",
            Integer { min: 1, max: 1_000_000 },
            Absent::Integer(64),
            "Rows that one call returns for each row that it was given, with 1,024 on top.",
        ),
        key("log_lines", Integer { min: 0, max: 1_000_000 }, Absent::Integer(100), "Log lines of one call."),
    ],
};
