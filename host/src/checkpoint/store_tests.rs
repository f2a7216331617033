//! What a store promises, against a map as the model and with files cut, lost and left behind.

use super::*;
use crate::state::TableId;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// Merges soon and often.
const EAGER: CompactionLimits = CompactionLimits { delta_files_max: 2, delta_bytes_max: 1 << 20, merge_bytes_max: 300 };
/// Never merges.
const NEVER: CompactionLimits =
    CompactionLimits { delta_files_max: usize::MAX, delta_bytes_max: u64::MAX, merge_bytes_max: 0 };

fn open(dir: &Path, run: u64, limits: CompactionLimits) -> Store {
    Store::open(dir, "fraud", &format!("r{run}"), limits).unwrap()
}

fn put(key: &str, value: &str) -> Delta {
    let mut delta = Delta::default();
    delta.put(TableId(0), 3, key.as_bytes(), value.as_bytes());
    delta
}

fn delete(key: &str) -> Delta {
    let mut delta = Delta::default();
    delta.delete(TableId(0), 3, key.as_bytes());
    delta
}

fn read(restored: &Restored) -> Result<Model, CheckpointError> {
    let mut model = Model::new();
    restored.visit(|entry| {
        match entry.value {
            Some(value) => model.insert(entry.key.to_vec(), value.to_vec()),
            None => model.remove(entry.key),
        };
        Ok::<_, CheckpointError>(())
    })?;
    Ok(model)
}

fn text(model: &Model) -> String {
    let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
    model.iter().map(|(key, value)| format!("{}={} ", text(key), text(value))).collect()
}

fn state(store: &mut Store, pointer: &Pointer) -> String {
    let restored = store.restore(pointer).unwrap();
    text(&read(&restored).unwrap()).trim_end().to_owned()
}

fn files(dir: &Path) -> Vec<String> {
    folder::names(dir).unwrap().into_iter().filter(|it| it != "LOCK").collect()
}

#[test]
fn restored_state_is_the_committed_state() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path(), 1, NEVER);
    assert_eq!(store.current().unwrap(), None);
    let first = store.persist(Epoch(1), &[put("a", "1"), put("b", "1")], Meta::default()).unwrap();
    let second = store.persist(Epoch(2), &[put("a", "2"), delete("b")], Meta::default()).unwrap();
    store.mark_committed(&first).unwrap();
    drop(store);
    let mut store = open(dir.path(), 2, NEVER);
    assert_eq!(store.current().unwrap(), Some(first.clone()));
    assert_eq!(state(&mut store, &first), "a=1 b=1");
    assert_eq!(state(&mut store, &second), "a=2");
}

#[test]
fn an_epoch_that_was_given_up_leaves_no_trace_in_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path(), 1, NEVER);
    let first = store.persist(Epoch(1), &[put("a", "1")], Meta::default()).unwrap();
    let lost = store.persist(Epoch(2), &[put("lost", "1")], Meta::default()).unwrap();
    store.restore(&first).unwrap();
    let second = store.persist(Epoch(2), &[put("b", "2")], Meta::default()).unwrap();
    assert_ne!(lost.manifest, second.manifest);
    assert_eq!(state(&mut store, &second), "a=1 b=2");
    store.restore_nothing();
    let fresh = store.persist(Epoch(1), &[], Meta::default()).unwrap();
    assert_eq!(state(&mut store, &fresh), "");
}

#[test]
fn a_folder_in_use_is_refused_with_the_holder() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1, NEVER);
    let error = Store::open(dir.path(), "fraud", "r2", NEVER).unwrap_err().to_string();
    let holder = format!("{} is in use by process {};", dir.path().display(), std::process::id());
    assert!(error.contains(&holder), "{error}");
    drop(store);
    open(dir.path(), 2, NEVER);
}

#[test]
fn a_merge_changes_the_files_and_not_the_state() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path(), 1, EAGER);
    for epoch in 1..=9 {
        let delta = if epoch == 5 { delete("k3") } else { put(&format!("k{epoch}"), "1") };
        store.persist(Epoch(epoch), &[delta, put("all", &epoch.to_string())], Meta::default()).unwrap();
        store.compactor.wait();
    }
    let pointer = store.persist(Epoch(10), &[], Meta::default()).unwrap();
    assert!(store.files.len() < 5, "{:?}", store.files);
    assert_eq!(store.files[0].kind, FileKind::Base);
    assert_eq!(state(&mut store, &pointer), "all=9 k1=1 k2=1 k4=1 k6=1 k7=1 k8=1 k9=1");
}

#[test]
fn a_merge_of_files_that_were_given_up_is_thrown_away() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path(), 1, EAGER);
    let first = store.persist(Epoch(1), &[put("a", "1")], Meta::default()).unwrap();
    store.persist(Epoch(2), &[put("lost", "1")], Meta::default()).unwrap();
    store.compactor.wait();
    store.restore(&first).unwrap();
    let second = store.persist(Epoch(2), &[put("b", "1")], Meta::default()).unwrap();
    assert_eq!(state(&mut store, &second), "a=1 b=1");
    assert!(!files(dir.path()).iter().any(|it| it.starts_with("base-000000000002-r1-5")), "{:?}", files(dir.path()));
}

#[test]
fn forgetting_keeps_the_two_newest_committed_checkpoints_and_all_that_is_newer() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path(), 1, EAGER);
    let mut pointers = Vec::new();
    for epoch in 1..=8 {
        pointers.push(store.persist(Epoch(epoch), &[put("a", &epoch.to_string())], Meta::default()).unwrap());
        store.compactor.wait();
    }
    assert_eq!(store.forget_before(Epoch(8)).unwrap(), 0, "nothing is committed yet");
    store.mark_committed(&pointers[5]).unwrap();
    assert!(store.forget_before(Epoch(100)).unwrap() > 0);
    for (i, pointer) in pointers.iter().enumerate() {
        let epoch = i + 1;
        match store.restore(pointer) {
            Ok(restored) => {
                assert!(epoch >= 5, "epoch {epoch} is still there");
                assert_eq!(text(&read(&restored).unwrap()), format!("a={epoch} "));
            }
            Err(CheckpointError::Missing { .. }) => assert!(epoch < 5, "epoch {epoch} is gone"),
            Err(error) => panic!("epoch {epoch}: {error}"),
        }
    }
}

#[test]
fn forgetting_removes_what_a_dead_process_left() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path()).unwrap();
    fs::write(dir.path().join("delta-000000000009-dead-1.snap"), b"torn").unwrap();
    fs::write(dir.path().join("manifest-000000000009-dead-2.json.tmp"), b"torn").unwrap();
    let mut store = open(dir.path(), 1, NEVER);
    let pointer = store.persist(Epoch(1), &[put("a", "1")], Meta::default()).unwrap();
    store.mark_committed(&pointer).unwrap();
    assert_eq!(store.forget_before(Epoch(1)).unwrap(), 1);
    assert_eq!(files(dir.path()), ["CURRENT", "delta-000000000001-r1-1.snap", "manifest-000000000001-r1-2.json"]);
}

#[test]
fn an_older_checkpoint_outlives_any_damage_to_newer_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path(), 1, NEVER);
    let first = store.persist(Epoch(1), &[put("a", "1")], Meta::default()).unwrap();
    let before = files(dir.path());
    let second = store.persist(Epoch(2), &[put("a", "2")], Meta::default()).unwrap();
    let newer: Vec<_> = files(dir.path()).into_iter().filter(|it| !before.contains(it)).collect();
    assert_eq!(newer.len(), 2);
    for name in &newer {
        let path = dir.path().join(name);
        let good = fs::read(&path).unwrap();
        for len in [0, 1, good.len() / 2, good.len() - 1] {
            fs::write(&path, &good[..len]).unwrap();
            let error = store.restore(&second).unwrap_err();
            assert!(error.to_string().contains(name.as_str()), "{error}");
            assert_eq!(state(&mut store, &first), "a=1");
        }
        fs::remove_file(&path).unwrap();
        assert!(matches!(store.restore(&second).unwrap_err(), CheckpointError::Missing { .. }));
        assert_eq!(state(&mut store, &first), "a=1");
        fs::write(&path, good).unwrap();
    }
    assert_eq!(state(&mut store, &second), "a=2");
}

#[test]
fn another_pipelines_checkpoint_and_renumbered_tables_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path(), 1, NEVER);
    let tables = |names: &[&str]| Meta { tables: names.iter().map(|&it| it.to_owned()).collect(), ..Meta::default() };
    let pointer = store.persist(Epoch(1), &[], tables(&["a", "b"])).unwrap();
    let error = store.persist(Epoch(2), &[], tables(&["b", "a"])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "tables are [b, a], but the restored state begins with [a, b]: new ones go to the end"
    );
    store.persist(Epoch(2), &[], tables(&["a", "b", "c"])).unwrap();
    drop(store);
    let mut other = Store::open(dir.path(), "surge", "r2", NEVER).unwrap();
    let error = other.restore(&pointer).unwrap_err().to_string();
    assert!(error.contains("belongs to pipeline `fraud`, not to `surge`"), "{error}");
}

/// What the test below runs in a process of its own, whose files may not grow past a limit.
const CHILD_FOLDER: &str = "WASMILL_TEST_LIMITED_FOLDER";

#[test]
fn when_no_byte_more_can_be_written_the_epoch_fails_and_earlier_checkpoints_stay() {
    if let Some(dir) = std::env::var_os(CHILD_FOLDER) {
        return fill_up(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    // The shell sets the limit (in blocks of 512 or 1,024 bytes) and ignores the signal, so that writes fail instead.
    let output = this_test_again("trap '' XFSZ; ulimit -f 64;").env(CHILD_FOLDER, dir.path()).output().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(dir.path().join(CURRENT).exists(), "the child did run");
}

/// Runs the test that calls this, alone and in a process of its own, behind what `shell` does first.
fn this_test_again(shell: &str) -> std::process::Command {
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &format!("{shell} exec \"$0\" \"$@\"")]).arg(std::env::current_exe().unwrap()).args([
        "--exact",
        std::thread::current().name().unwrap(),
        "--nocapture",
    ]);
    command
}

fn fill_up(dir: &Path) {
    let mut store = open(dir, 1, NEVER);
    let first = store.persist(Epoch(1), &[put("a", "1")], Meta::default()).unwrap();
    store.mark_committed(&first).unwrap();
    let before = files(dir);
    let error = store.persist(Epoch(2), &[put("a", &"2".repeat(1 << 20))], Meta::default()).unwrap_err();
    assert!(matches!(error, CheckpointError::Full { .. }), "{error}");
    assert!(error.to_string().contains("earlier checkpoints stay usable"), "{error}");
    assert_eq!(files(dir), before, "the epoch left nothing");
    let large = Meta { tables: vec!["t".repeat(1 << 20)], ..Meta::default() };
    let error = store.persist(Epoch(2), &[put("a", "2")], large).unwrap_err();
    assert!(matches!(error, CheckpointError::Full { .. }), "{error}");
    assert_eq!(files(dir), before, "nor did the one whose manifest did not fit");
    let second = store.persist(Epoch(2), &[put("b", "2")], Meta::default()).unwrap();
    assert_eq!(state(&mut store, &first), "a=1");
    assert_eq!(state(&mut store, &second), "a=1 b=2");
}

/// Kills a process at each step of a checkpoint, and lets the next one go on from what it left.
#[cfg(feature = "failpoints")]
mod killed {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    const FOLDER: &str = "WASMILL_TEST_KILLED_FOLDER";
    const POINT: &str = "WASMILL_TEST_KILLED_AT";
    const EPOCHS: u64 = 24;

    #[test]
    fn a_process_killed_at_any_step_leaves_the_committed_state() {
        if let Some(dir) = std::env::var_os(FOLDER) {
            let point = std::env::var_os(POINT).unwrap().into_string().unwrap();
            crate::failpoint::arm_failpoint(&point).unwrap();
            return go_on(Path::new(&dir), point.replace(|it: char| !it.is_ascii_alphanumeric(), ""));
        }
        let ours = |it: &&&str| ["persist.", "current.", "forget.", "merge."].iter().any(|own| it.starts_with(own));
        for point in crate::failpoint::FAILPOINTS.iter().filter(ours) {
            let dir = tempfile::tempdir().unwrap();
            // The same folder again: each goes on from where the one before died.
            for nth in [1, 3, 2, 5] {
                let spec = format!("{point}:{nth}");
                let output = this_test_again("").env(FOLDER, dir.path()).env(POINT, &spec).output().unwrap();
                assert_eq!(output.status.signal(), Some(9), "{spec}: {}", String::from_utf8_lossy(&output.stderr));
                let mut store = Store::open(dir.path(), "fraud", "check", NEVER).unwrap();
                if let Some(pointer) = store.current().unwrap() {
                    assert_eq!(state(&mut store, &pointer), text(&expected(pointer.epoch)).trim_end(), "{spec}");
                }
            }
        }
    }

    /// Commits epochs until it dies.
    fn go_on(dir: &Path, run: String) {
        let mut store = Store::open(dir, "fraud", &run[run.len().saturating_sub(32)..], EAGER).unwrap();
        let current = store.current().unwrap();
        let mut epoch = match &current {
            Some(pointer) => store.restore(pointer).unwrap().manifest.epoch,
            None => Epoch(0),
        };
        for _ in 0..EPOCHS {
            epoch = epoch.next();
            let pointer = store.persist(epoch, &[change(epoch)], Meta::default()).unwrap();
            store.mark_committed(&pointer).unwrap();
            store.forget_before(epoch).unwrap();
            store.compactor.wait();
        }
    }

    fn change(epoch: Epoch) -> Delta {
        let key = format!("k{}", epoch.0 * 7 % 5);
        if epoch.0.is_multiple_of(3) { delete(&key) } else { put(&key, &epoch.to_string()) }
    }

    fn expected(epoch: Epoch) -> Model {
        let mut model = Model::new();
        for entry in (1..=epoch.0).map(|it| change(Epoch(it))) {
            for entry in crate::state::Entries(entry.bytes()) {
                match entry.value {
                    Some(value) => model.insert(entry.key.to_vec(), value.to_vec()),
                    None => model.remove(entry.key),
                };
            }
        }
        model
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// An epoch of changes: key, and its new value or none.
    Persist(Vec<(u8, Option<u8>)>),
    Commit,
    /// The process dies: merges are lost or done, files of no committed epoch are cut, and the committed one is restored.
    Crash {
        cut: bool,
    },
    Abort,
    Forget,
    WaitForMerge,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let change = (0..20_u8, proptest::option::weighted(0.7, any::<u8>()));
    let step = prop_oneof![
        6 => proptest::collection::vec(change, 0..12).prop_map(Step::Persist),
        4 => Just(Step::Commit),
        1 => any::<bool>().prop_map(|cut| Step::Crash { cut }),
        1 => Just(Step::Abort),
        2 => Just(Step::Forget),
        3 => Just(Step::WaitForMerge),
    ];
    proptest::collection::vec(step, 1..60)
}

/// Two workers, by the parity of the key.
fn deltas(changes: &[(u8, Option<u8>)]) -> Vec<Delta> {
    let mut deltas = vec![Delta::default(), Delta::default()];
    for (key, value) in changes {
        let delta = &mut deltas[usize::from(key % 2)];
        match value {
            Some(value) => delta.put(TableId(0), u16::from(key / 4), &[*key], &[*value]),
            None => delta.delete(TableId(0), u16::from(key / 4), &[*key]),
        }
    }
    deltas
}

fn apply(model: &mut Model, changes: &[(u8, Option<u8>)]) {
    for (key, value) in changes {
        match value {
            Some(value) => model.insert(vec![*key], vec![*value]),
            None => model.remove(&vec![*key]),
        };
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn through_epochs_aborts_crashes_merges_and_forgetting_the_state_is_that_of_a_map(steps in steps()) {
        // In memory where there is such a folder: thousands of syncs to a disk take a minute and show nothing more.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let mut run = 1;
        let mut store = open(dir.path(), run, EAGER);
        let mut now = Model::new();
        let mut epoch = Epoch(0);
        let mut newest: Option<(Pointer, Model)> = None;
        let mut committed: Option<(Pointer, Model)> = None;
        for step in steps {
            match step {
                Step::Persist(changes) => {
                    epoch = epoch.next();
                    apply(&mut now, &changes);
                    let pointer = store.persist(epoch, &deltas(&changes), Meta::default()).unwrap();
                    newest = Some((pointer, now.clone()));
                }
                Step::Commit => {
                    if let Some((pointer, model)) = &newest {
                        store.mark_committed(pointer).unwrap();
                        committed = Some((pointer.clone(), model.clone()));
                    }
                }
                Step::Forget => drop(store.forget_before(epoch).unwrap()),
                Step::WaitForMerge => store.compactor.wait(),
                Step::Crash { .. } | Step::Abort => {
                    if let Step::Crash { cut } = step {
                        drop(store);
                        if cut {
                            damage_all_but(dir.path(), committed.as_ref().map(|(pointer, _)| pointer));
                        }
                        run += 1;
                        store = open(dir.path(), run, EAGER);
                        prop_assert_eq!(store.current().unwrap(), committed.as_ref().map(|(it, _)| it.clone()));
                    }
                    (now, epoch) = match &committed {
                        Some((pointer, model)) => {
                            let restored = store.restore(pointer).unwrap();
                            prop_assert_eq!(&read(&restored).unwrap(), model);
                            (model.clone(), pointer.epoch)
                        }
                        None => {
                            store.restore_nothing();
                            (Model::new(), Epoch(0))
                        }
                    };
                    newest = committed.clone();
                }
            }
        }
        if let Some((pointer, model)) = newest {
            prop_assert_eq!(read(&store.restore(&pointer).unwrap()).unwrap(), model);
        }
    }
}

/// Cuts snapshot files that the committed manifest does not name: what a crash may do to files that were being written.
fn damage_all_but(dir: &Path, committed: Option<&Pointer>) {
    let kept = committed.map(|it| Manifest::load(dir, it).unwrap().files).unwrap_or_default();
    for name in files(dir).iter().filter(|it| it.ends_with(".snap")) {
        if !kept.iter().any(|it| it.name == *name) {
            fs::write(dir.join(name), b"WSN").unwrap();
        }
    }
}
