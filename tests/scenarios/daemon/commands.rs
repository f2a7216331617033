//! The commands that talk to a daemon.

use super::pipelines::fraud;
use wasmill_tests::daemon::Daemon;
use wasmill_tests::folder::Folder;
use wasmill_tests::json::parse;
use wasmill_tests::settings;

#[test]
fn a_plugin_and_a_pipeline_go_through_their_whole_life_from_the_command_line() {
    let folder = Folder::new();
    let daemon = Daemon::start(&folder);
    let file = settings::plugin("fraud-rules").display().to_string();
    let pushed = daemon.command(&["plugin", "push", &file, "--as", "fraud-rules@1.0.0"]).expect_code(0);
    assert!(pushed.stdout.starts_with("fraud-rules@1.0.0 is stored: sha256:"), "{}", pushed.stdout);
    let own = daemon.command(&["plugin", "push", &file]).expect_code(0);
    assert!(own.stdout.starts_with("fraud-rules@1.0.0 is stored"), "{}", own.stdout);
    let listed = daemon.command(&["plugin", "list", "fraud-rules"]).expect_code(0).stdout;
    assert!(listed.starts_with("NAME         VERSION  KIND"), "{listed}");
    let shown = parse(&daemon.command(&["plugin", "show", "fraud-rules@1.0.0", "-o", "json"]).expect_code(0).stdout);
    assert_eq!(shown["kind"], "transform");

    folder.write("fraud.toml", fraud("fraud-rules@latest", 0, 300, 100_000));
    let dry = daemon.command(&["pipeline", "apply", "fraud.toml", "--dry-run"]).expect_code(0).stdout;
    assert!(dry.ends_with("fraud would be created; nothing was done\n"), "{dry}");
    let applied = daemon.command(&["pipeline", "apply", "fraud.toml"]).expect_code(0).stdout;
    assert!(applied.starts_with("fraud is created: revision 1"), "{applied}");
    daemon.wait_for("fraud", "completed");
    let listed = daemon.command(&["pipeline", "list"]).expect_code(0).stdout;
    assert!(listed.contains("fraud  completed"), "{listed}");
    let shown = daemon.command(&["pipeline", "show", "fraud"]).expect_code(0).stdout;
    assert!(shown.contains("300 in, 300 out") && shown.contains("fraud-rules@latest = fraud-rules@1.0.0"), "{shown}");
    let checkpoints = daemon.command(&["pipeline", "checkpoints", "fraud"]).expect_code(0).stdout;
    assert!(checkpoints.starts_with("EPOCH  COMMITTED"), "{checkpoints}");
    let plan = daemon.command(&["pipeline", "plan", "fraud", "--mermaid"]).expect_code(0).stdout;
    assert!(plan.starts_with("flowchart LR"), "{plan}");
    let stopped = daemon.command(&["pipeline", "stop", "fraud"]).expect_code(0).stdout;
    assert_eq!(stopped, "fraud is stopped\n");
    for action in ["resume", "pause", "restart"] {
        daemon.command(&["pipeline", action, "fraud"]).expect_code(0);
    }

    daemon.command(&["pipeline", "delete", "fraud", "--state", "keep"]).expect_code(78).expect_error(&["say --yes"]);
    let used = daemon.command(&["plugin", "delete", "fraud-rules@1.0.0", "--yes"]).expect_code(78);
    used.expect_error(&["plugin_in_use", "fraud"]);
    daemon.command(&["pipeline", "delete", "fraud", "--state", "keep", "--yes"]).expect_code(0);
    daemon.command(&["plugin", "delete", "fraud-rules@1.0.0", "--yes"]).expect_code(0);
    daemon.stop();
}

#[test]
fn what_the_daemon_refuses_is_said_with_every_error_and_an_exit_code() {
    let folder = Folder::new();
    let daemon = Daemon::start(&folder);
    folder.write("text.wasm", "no component");
    let refused = daemon.command(&["plugin", "push", "text.wasm", "--as", "p@1.0.0"]).expect_code(78);
    refused.expect_error(&["error: ", "not WebAssembly", "(not_wasm)"]);
    folder.write("p.toml", fraud("nobody@1.0.0", 0, 1, 1));
    let refused = daemon.command(&["pipeline", "apply", "p.toml"]).expect_code(78);
    refused.expect_error(&["line 15: steps.rules.plugin: found the plugin `nobody`"]);
    let url = daemon.url();
    daemon.stop();
    let alone = folder.wasmill(["pipeline", "list", "--server", &url]).end().expect_code(69);
    alone.expect_error(&["no daemon answers", "wasmill serve"]);
}

#[test]
fn shells_are_told_what_to_complete() {
    let folder = Folder::new();
    for (shell, expected) in [("bash", "_wasmill()"), ("zsh", "#compdef wasmill"), ("fish", "complete -c wasmill")] {
        let script = folder.wasmill(["completions", shell]).end().expect_code(0).stdout;
        assert!(script.contains(expected) && script.contains("rollback"), "{shell}");
    }
}
