//! The queries, as pipeline files.
//!
//! | query | one value for each |
//! |---|---|
//! | q0 | event: its bytes; nothing is parsed |
//! | q1 | bid: `{"auction","bidder","price","dateTime"}`, the price times 908 / 1000, rounded down |
//! | q2 | bid whose auction's number 123 divides: `{"auction","price"}` |
//! | q5c | auction and window of 10 s every 2 s: `{"key","start","end","count"}` |
//! | q11 | session of a bidder, gap 10 s, a bid exactly 10 s after the last one being of it: `{"key","start","end","count"}` |
//! | q12e | bidder and window of 10 s: `{"key","start","end","count"}` |
//!
//! | shuffle | tenth record that matches one of 1,000 rules: `{"rule","count","sum","first","last"}` of the last ten |
//!
//! `shuffle` is ShuffleBench's job (Henning et al., ICPE 2024) over records of its own: random bytes, of which a fifth match a rule. All
//! are in one partition, since the sums depend on the order of a rule's records.
//!
//! Windows are written once, when the watermark (the largest event time less 4 s, the minimum over the partitions) has passed
//! their end; at the end of the input every open one is.

use super::digest::Digest;
use std::path::Path;

/// A query.
#[derive(Clone, Copy, Debug)]
pub struct Query {
    /// What the command line calls it.
    pub name: &'static str,
    /// The steps, and what the sink reads and writes.
    body: &'static str,
    /// What stands for WINDOW in it.
    window: &'static str,
    /// What it reads.
    pub input: Input,
    /// What comes out of so many events: records and digest, in hexadecimal. Equal between Flink's DataStream and SQL and
    /// Kafka Streams on these events.
    known: &'static [(u64, u64, &'static str)],
}

const HOT_AUCTIONS: &str = r#"
            [steps.bids]
            from = "events"
            plugin = "PLUGINS/nexmark-bids.wasm"

            [steps.hot]
            from = "bids"
            key = "bid.auction"
            window = { WINDOW }
            aggregate = { count = "count()" }

            [sinks.out]
            from = "hot"
            select = { key = "bid.auction", start = "window_start", end = "window_end", count = "count" }
        "#;

/// The records of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Nexmark's events.
    Nexmark,
    /// Random bytes.
    Random,
}

impl Input {
    /// Records in its topic, where `events` are asked for: those of random bytes are four times as long.
    pub fn records(self, events: u64) -> u64 {
        match self {
            Input::Nexmark => events,
            Input::Random => events / 4,
        }
    }

    /// Partitions of its topic, where `partitions` are asked for.
    pub fn partitions(self, partitions: u32) -> u32 {
        match self {
            Input::Nexmark => partitions,
            Input::Random => 1,
        }
    }

    /// What the source says of it.
    fn source(self) -> &'static str {
        match self {
            Input::Nexmark => "event_time = { delay = \"4s\" }",
            Input::Random => "format = \"raw\"",
        }
    }
}

/// All of them.
pub const QUERIES: &[Query] = &[
    Query {
        name: "q0",
        body: r#"
            [sinks.out]
            from = "events"
        "#,
        window: "",
        input: Input::Nexmark,
        known: &[
            (4_000_000, 4_000_000, "53db0efdd4fa43a74257a3f2449a4f4b"),
            (10_000_000, 10_000_000, "075a697b045a262110caedbea063edd4"),
        ],
    },
    Query {
        name: "q1",
        body: r#"
            [steps.currency]
            from = "events"
            plugin = "PLUGINS/nexmark-currency.wasm"

            [sinks.out]
            from = "currency"
        "#,
        window: "",
        input: Input::Nexmark,
        known: &[
            (100_000, 92_000, "0380d6be43501d8ae026df213c079234"),
            (4_000_000, 3_680_000, "72392f0dc4fed57ecec0dfb1200f096e"),
            (10_000_000, 9_200_000, "5cac6e133fa7b5603e1ee1451908dcfb"),
        ],
    },
    Query {
        name: "q2",
        body: r#"
            [steps.bids]
            from = "events"
            plugin = "PLUGINS/nexmark-bids.wasm"
            config = { every = 123 }

            [sinks.out]
            from = "bids"
            select = { auction = "bid.auction", price = "bid.price" }
        "#,
        window: "",
        input: Input::Nexmark,
        known: &[(4_000_000, 29_750, "25945ea685b495a84b6a23c5bc9a3846")],
    },
    Query {
        name: "q5c",
        body: HOT_AUCTIONS,
        window: r#"hopping = "10s", slide = "2s""#,
        input: Input::Nexmark,
        known: &[
            (4_000_000, 1_201_069, "cb16d6393d647059b552f81fcb48b26d"),
            (10_000_000, 3_002_930, "6e08015fe2f492534ff34a9c3d60bdce"),
        ],
    },
    Query {
        name: "q11",
        body: r#"
            [steps.bids]
            from = "events"
            plugin = "PLUGINS/nexmark-bids.wasm"

            [steps.sessions]
            from = "bids"
            key = "bid.bidder"
            window = { WINDOW }
            aggregate = { count = "count()" }

            [sinks.out]
            from = "sessions"
            select = { key = "bid.bidder", start = "window_start", end = "window_end", count = "count" }
        "#,
        window: r#"session = "10s", boundary = "inclusive""#,
        input: Input::Nexmark,
        known: &[
            (100_000, 1_924, "bb44cebb5b3579c05837ed0d5d73811b"),
            (1_000_000, 19_923, "413eb4365f99b84df433b7a4a3281b7e"),
            (4_000_000, 79_938, "ed7693460d764f6c1d16147d382117b9"),
        ],
    },
    Query {
        name: "q12e",
        body: r#"
            [steps.bids]
            from = "events"
            plugin = "PLUGINS/nexmark-bids.wasm"

            [steps.windows]
            from = "bids"
            key = "bid.bidder"
            window = { WINDOW }
            aggregate = { count = "count()" }

            [sinks.out]
            from = "windows"
            select = { key = "bid.bidder", start = "window_start", end = "window_end", count = "count" }
        "#,
        window: r#"tumbling = "10s""#,
        input: Input::Nexmark,
        known: &[(4_000_000, 82_427, "5c3c66be0a32a8e347e423308c3b3434")],
    },
    Query {
        name: "shuffle",
        body: r#"
            [steps.match]
            from = "events"
            plugin = "PLUGINS/shuffle-match.wasm"

            [steps.count]
            from = "match"
            key = "rule"
            plugin = "PLUGINS/shuffle-count.wasm"

            [sinks.out]
            from = "count"
        "#,
        window: "",
        input: Input::Random,
        known: &[],
    },
];

/// `q5c` with windows of 60 s, each record in 6, 60 or 600 of them. Flink and Kafka Streams agree on the first two.
pub const SWEEP: &[Query] = &[
    hop("hop-10s", r#"hopping = "60s", slide = "10s""#, &[(1_000_000, 359_862, "ad955692e1a8e78ad1777bff28482487")]),
    hop("hop-1s", r#"hopping = "60s", slide = "1s""#, &[(1_000_000, 3_599_377, "3aa219d139db3b1d1fff044e44f0eb9d")]),
    hop("hop-100ms", r#"hopping = "60s", slide = "100ms""#, &[]),
];

const fn hop(name: &'static str, window: &'static str, known: &'static [(u64, u64, &'static str)]) -> Query {
    Query { name, body: HOT_AUCTIONS, window, input: Input::Nexmark, known }
}

impl Query {
    /// What `events` events must give, where that is known.
    pub fn known(&self, events: u64) -> Option<Digest> {
        let (_, records, sum) = self.known.iter().find(|it| it.0 == events)?;
        Some(Digest { records: *records, sum: u128::from_str_radix(sum, 16).ok()? })
    }

    /// The pipeline file, under a name that no other run has.
    pub fn pipeline(&self, name: &str, delivery: &str, brokers: &str, from: &str, to: &str, plugins: &Path) -> String {
        let sink = format!("[sinks.out]\nconnector = \"kafka\"\nbrokers = \"{brokers}\"\ntopic = \"{to}\"");
        let body = self.body.replace("WINDOW", self.window).replace("[sinks.out]", &sink);
        let body = body.replace("PLUGINS", &plugins.display().to_string());
        format!(
            r#"
            name = "{name}"
            delivery = "{delivery}"
            checkpoint_interval = "1s"

            [sources.events]
            connector = "kafka"
            brokers = "{brokers}"
            topic = "{from}"
            {source}
            {body}
            "#,
            source = self.input.source()
        )
    }
}
