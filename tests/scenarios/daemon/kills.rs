//! The daemon killed at random moments while plugins are uploaded, pipelines deployed and versions swapped: after each start everything that
//! was answered is there, nothing is there by half, and each record counts once.

use super::pipelines::{fraud, with_rules};
use super::upgrades::component;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use wasmill_tests::components::with_note;
use wasmill_tests::daemon::{Daemon, LIMIT, ask_at, pipeline, plugin};
use wasmill_tests::folder::Folder;
use wasmill_tests::json::text;
use wasmill_tests::random::Random;
use wasmill_tests::settings;
use wasmill_tests::wait::{pause, until};

const KILLS: u64 = 8;
/// Records of the pipeline whose output is compared, and how many come in a second.
const RECORDS: u64 = 40_000;
const RATE: u64 = 2_000;

/// What was asked for and what was answered so far.
#[derive(Debug, Default)]
struct Asked {
    /// Versions of `p` and whether storing them was answered.
    uploads: BTreeMap<u64, bool>,
    /// Whether the other pipeline was ever answered for.
    deployed: bool,
    upgrades: u64,
}

impl Asked {
    fn stored(&self) -> usize {
        self.uploads.values().filter(|it| **it).count()
    }

    /// Whether something of each kind was answered, and at least as many uploads.
    fn answered(&self, uploads: usize) -> bool {
        self.stored() >= uploads.max(1) && self.upgrades > 0 && self.deployed
    }
}

fn held(asked: &Mutex<Asked>) -> MutexGuard<'_, Asked> {
    asked.lock().unwrap_or_else(PoisonError::into_inner)
}

fn rules_of(version: u64) -> Vec<u8> {
    with_note(&component("fraud-rules"), &format!("1.0.{version}"))
}

/// The pipeline that is deployed over and over, in one of two versions.
fn other(second: bool) -> String {
    let max_amount = if second { 20 } else { 10 };
    fraud("fraud-rules@1.0.0", max_amount, 1_000_000, 1_000)
        .replace("name = \"fraud\"", "name = \"other\"")
        .replace("path = \"alerts\"", "path = \"other\"")
}

/// Uploads, deploys and swaps until nobody answers.
fn ask_for_everything(url: &str, asked: &Mutex<Asked>) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            loop {
                let version = held(asked).uploads.len() as u64;
                let path = plugin("p", &format!("1.0.{version}"));
                let answer = ask_at(url, "PUT", &path, "application/wasm", &rules_of(version));
                held(asked).uploads.insert(version, answer.as_ref().is_some_and(|it| it.status == 201));
                let Some(answer) = answer else { break };
                answer.expect(201);
            }
        });
        scope.spawn(|| {
            for second in [false, true].into_iter().cycle() {
                let definition = other(second);
                let answer = ask_at(url, "PUT", &pipeline("other"), "application/toml", definition.as_bytes());
                let Some(answer) = answer else { break };
                assert!(matches!(answer.status, 200 | 201), "{answer:?}");
                held(asked).deployed = true;
            }
        });
        scope.spawn(|| {
            for version in ["1.1.0", "1.0.0"].into_iter().cycle() {
                let request = json!({"step": "rules", "plugin": format!("fraud-rules@{version}")}).to_string();
                let path = "/api/v1/pipelines/fraud/upgrade";
                let answer = ask_at(url, "POST", path, "application/json", request.as_bytes());
                let Some(answer) = answer else { break };
                // Another one may be under way, or the version be the one that runs.
                held(asked).upgrades += u64::from(answer.status == 202);
                assert!(matches!(answer.status, 202 | 409 | 422), "{answer:?}");
            }
        });
    });
}

/// What must hold whenever the daemon has started.
fn nothing_is_there_by_half(folder: &Folder, daemon: &Daemon<'_>, asked: &mut Asked) {
    let mut digests: BTreeSet<String> = BTreeSet::new();
    let mut take = |found: Value| digests.insert(text(&found, "digest").to_owned());
    for version in ["1.0.0", "1.1.0"] {
        take(daemon.get(&plugin("fraud-rules", version)).expect(200).json());
    }
    for (version, answered) in &mut asked.uploads {
        let found = daemon.get(&plugin("p", &format!("1.0.{version}")));
        assert!(found.status == 200 || (found.status == 404 && !*answered), "version {version}: {found:?}");
        if found.status == 200 {
            // It is what was sent, whole: the same again is no conflict.
            daemon.push("p", &format!("1.0.{version}"), &rules_of(*version)).expect(200);
            take(found.json());
        }
    }
    let files = |dir: &str| {
        let entries = std::fs::read_dir(folder.path("daemon").join(dir)).into_iter().flatten();
        entries.map(|it| it.expect("an entry").file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    let stored: BTreeSet<String> = files("plugins/components").iter().map(|it| it.replace(".wasm", "")).collect();
    assert_eq!(stored, digests, "components without a version, or versions without their component");
    assert_eq!(files("uploads"), Vec::<String>::new());

    let found = daemon.get(&pipeline("other"));
    assert!(found.status == 200 || !asked.deployed, "{found:?}");
    if found.status == 200 {
        let status = daemon.wait_for("other", "running");
        let definition = text(&status, "definition");
        assert!([other(false), other(true)].iter().any(|it| it == definition), "{definition}");
        asked.deployed = true;
    }
    until("what became of the upgrade is known", LIMIT, || daemon.show("fraud")["upgrading"] == Value::Null);
    let status = daemon.show("fraud");
    let version = text(&status["plugins"][0], "version");
    assert!(text(&status, "definition").contains(&format!("fraud-rules@{version}")), "{status}");
}

#[test]
fn killed_at_any_moment_nothing_is_there_by_half_and_each_record_counts_once() {
    let folder = Folder::new();
    let mut random = Random::new(settings::seed("daemon killed at random"));
    let mut daemon = with_rules(&folder);
    daemon.push("fraud-rules", "1.1.0", &with_note(&component("fraud-rules"), "1.1.0")).expect(201);
    daemon.apply("fraud", &fraud("fraud-rules@1.0.0", 0, RECORDS, RATE)).expect(201);
    let asked = Mutex::new(Asked::default());
    for life in 0..KILLS {
        let (url, moment) = (daemon.url(), Duration::from_millis(random.within(20..4_000)));
        let (before, asked, url) = (held(&asked).stored(), &asked, &url);
        // It is moved there, so that it is killed too where the test fails: nobody asks any more then.
        let mut dying = daemon;
        std::thread::scope(move |scope| {
            scope.spawn(|| ask_for_everything(url, asked));
            // In every second life the moment begins with answers: how long a busy machine compiles an upload is not for a clock to say.
            if life % 2 == 1 {
                until("an upload is answered, and something of each kind was", LIMIT, || {
                    held(asked).answered(before + 1)
                });
            }
            pause(moment);
            dying.run().kill();
        });
        daemon = Daemon::start(&folder);
        nothing_is_there_by_half(&folder, &daemon, &mut held(asked));
    }
    println!("{asked:?}");
    daemon.wait_for("fraud", "completed");
    daemon.stop();

    let found = folder.records("daemon/files/alerts");
    let ids: BTreeSet<&str> = found.iter().map(|it| text(it, "transaction_id")).collect();
    assert_eq!((found.len() as u64, ids.len() as u64), (RECORDS, RECORDS));
}
