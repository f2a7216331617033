//! Uploads of plugins: what is stored, what is refused and why, and that nothing is ever half there.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use wasmill_tests::components;
use wasmill_tests::daemon::{Daemon, plugin};
use wasmill_tests::folder::Folder;
use wasmill_tests::random::Random;
use wasmill_tests::settings;
use wasmill_tests::wait::until;

fn component(name: &str) -> Vec<u8> {
    std::fs::read(settings::plugin(name)).expect("a plugin that was built")
}

/// The files that a catalog consists of.
fn stored(folder: &Folder) -> Vec<String> {
    let mut found = Vec::new();
    for dir in ["plugins/components", "plugins/versions/p", "uploads"] {
        let Ok(entries) = std::fs::read_dir(folder.path("daemon").join(dir)) else { continue };
        found.extend(entries.map(|it| format!("{dir}/{}", it.expect("an entry").file_name().to_string_lossy())));
    }
    found.sort();
    found
}

#[test]
fn a_version_is_stored_once_and_never_changes() {
    let folder = Folder::new();
    let daemon = Daemon::start(&folder);
    let rules = component("fraud-rules");
    let first = daemon.push("fraud-rules", "1.0.0", &rules).expect(201).json();
    assert_eq!((&first["kind"], &first["bytes"]), (&"transform".into(), &rules.len().into()));
    let reads: Vec<_> = first["reads"].as_array().expect("fields").iter().map(|it| it["slot"].clone()).collect();
    assert!(reads.contains(&"amount".into()) && reads.contains(&"customer_id".into()), "{reads:?}");
    let again = daemon.push("fraud-rules", "1.0.0", &rules).expect(200).json();
    assert_eq!(again, first);
    let other = component("velocity");
    daemon.push("fraud-rules", "1.0.0", &other).expect_problem(409, "version_exists", &["never changes"]);
    assert_eq!(daemon.get(&plugin("fraud-rules", "1.0.0")).expect(200).json(), first);
    daemon.push("fraud-rules", "1.0.1", &other).expect(201);
    let list = daemon.get("/api/v1/plugins").expect(200).json();
    let versions: Vec<_> = list["plugins"].as_array().expect("a list").iter().map(|it| it["version"].clone()).collect();
    assert_eq!(versions, ["1.0.1", "1.0.0"]);
    daemon.delete(&plugin("fraud-rules", "1.0.1")).expect(204);
    daemon.get(&plugin("fraud-rules", "1.0.1")).expect_problem(404, "no_such_plugin", &["has only 1.0.0"]);
    daemon.get("/api/v1/plugins/nobody").expect_problem(404, "no_such_plugin", &["`fraud-rules`"]);
    daemon.stop();
    let daemon = Daemon::start(&folder);
    assert_eq!(daemon.get(&plugin("fraud-rules", "1.0.0")).expect(200).json(), first);
    daemon.stop();
}

#[test]
fn what_is_no_plugin_is_refused_with_what_was_found_and_what_to_do() {
    let folder = Folder::new();
    let daemon = Daemon::start(&folder);
    let rules = component("fraud-rules");
    let half = &rules[..rules.len() / 2];
    let elf = std::fs::read(settings::wasmill()).expect("the binary");
    let refusals: [(&[u8], u16, &str, &[&str]); 7] = [
        (b"", 422, "empty_upload", &["found no bytes"]),
        (b"rules = 1\n", 422, "not_wasm", &["expected `00 61 73 6d`"]),
        (half, 422, "truncated", &["copy or build the file again"]),
        (elf.get(..1 << 20).unwrap_or(&elf), 422, "precompiled", &["never run"]),
        (&components::of_another_world(), 422, "wrong_world", &["wasi:cli/run@0.2.0", "wasmill.wit"]),
        (&components::core_module(), 422, "no_interface", &["wasm-tools component embed"]),
        (b"\0asm\x0d\0\x01\0\x07\x01\xff", 422, "invalid_wasm", &["build it again"]),
    ];
    for (bytes, status, code, texts) in refusals {
        daemon.push("p", "1.0.0", bytes).expect_problem(status, code, texts);
    }
    for (name, version, code) in
        [("P", "1.0.0", "bad_name"), ("p", "1.0", "bad_version"), ("p", "1.0.0+b", "bad_version")]
    {
        daemon.push(name, version, &rules).expect_problem(400, code, &["found", "expected"]);
    }
    let found = daemon.ask("PUT", &format!("{}?x=1", plugin("p", "1.0.0")), "", &rules);
    found.expect_problem(400, "bad_query", &["the query key"]);
    assert_eq!(stored(&folder), Vec::<String>::new());
    let metrics = daemon.get("/metrics").expect(200).text;
    assert!(metrics.contains("wasmill_plugin_uploads_total{outcome=\"not_wasm\"} 1\n"), "{metrics}");
    daemon.stop();
}

#[test]
fn a_component_that_does_not_fit_the_boundary_is_refused_with_the_place_where_it_does_not() {
    let folder = Folder::new();
    let daemon = Daemon::start(&folder);
    let rules = component("fraud-rules");
    let with = |from: &str, to: &str| components::replaced(&rules, &[(from.as_bytes(), to.as_bytes())]);
    let swapped = components::replaced(
        &rules,
        &[(b"plugin/lifecycle@", b"plugin/transform@"), (b"plugin/transform@", b"plugin/lifecycle@")],
    );
    let refusals: [(Vec<u8>, &str, &[&str]); 6] = [
        (
            with("plugin/transform@", "plugin/transfirm@"),
            "missing_export",
            &["none of transform, keyed and aggregate", "transfirm"],
        ),
        (with("plugin/lifecycle@", "plugin/lifecicle@"), "missing_export", &["lifecycle"]),
        (with("@0.1.0", "@0.9.0"), "unsupported_version", &["0.9.0", "0.1.0"]),
        (
            with("wasmill:plugin/logging@", "wasmill:plugin/lugging@"),
            "forbidden_import",
            &["wasmill:plugin/lugging@0.1.0"],
        ),
        (swapped, "type_mismatch", &["does not have export `process`", "WIT or SDK"]),
        (
            components::replaced(&rules, &[(b"Alerts on transactions of", b"Alert\xff on transactions of")]),
            "open_failed",
            &["utf-8"],
        ),
    ];
    for (bytes, code, texts) in refusals {
        daemon.push("p", "1.0.0", &bytes).expect_problem(422, code, texts);
    }
    assert_eq!(stored(&folder), Vec::<String>::new());
    daemon.get("/livez").expect(200);
    daemon.stop();
}

#[test]
fn an_upload_that_is_too_large_is_refused_and_memory_stays_flat() {
    let folder = Folder::new();
    let mut daemon = Daemon::start(&folder);
    let before = daemon.run().resident_bytes().expect("it runs");
    let head = |bytes: u64| {
        format!(
            "PUT {} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {bytes}\r\n\r\n",
            plugin("p", "1.0.0")
        )
    };
    let announced = daemon.raw(head((128 << 20) + 1).as_bytes());
    assert!(announced.starts_with("HTTP/1.1 413") && announced.contains("\"too_large\""), "{announced}");

    // Without an announced length, and more than is allowed.
    let mut stream = TcpStream::connect(daemon.address()).expect("a connection");
    let head =
        format!("PUT {} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n", plugin("p", "1.0.0"));
    stream.write_all(head.as_bytes()).expect("the head is taken");
    let chunk = vec![0_u8; 1 << 20];
    let mut sent = 0_u64;
    let send = |stream: &mut TcpStream| -> std::io::Result<()> {
        stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes())?;
        stream.write_all(&chunk)?;
        stream.write_all(b"\r\n")
    };
    while send(&mut stream).is_ok() {
        sent += chunk.len() as u64;
        assert!(sent < 256 << 20, "the daemon took {sent} bytes");
    }
    until("the upload is gone", wasmill_tests::daemon::LIMIT, || stored(&folder).is_empty());
    let after = daemon.run().resident_bytes().expect("it runs");
    assert!(after < before + (64 << 20), "{after} bytes resident, {before} before {sent} bytes were sent");
    daemon.get("/livez").expect(200);
    daemon.stop();
}

#[test]
fn flipped_bits_and_cut_ends_of_a_real_component_never_take_the_daemon_down() {
    let folder = Folder::new();
    let mut random = Random::new(settings::seed("flipped bits"));
    let mut daemon = Daemon::start(&folder);
    let rules = component("echo");
    let mut refused = 0;
    for turn in 0..24 {
        let mut bytes = rules.clone();
        if turn % 4 == 3 {
            bytes.truncate(random.within(0..rules.len() as u64) as usize);
        } else {
            for _ in 0..=random.within(0..4) {
                let bit = random.within(0..rules.len() as u64 * 8);
                bytes[bit as usize / 8] ^= 1 << (bit % 8);
            }
        }
        let answer = daemon.push("p", &format!("1.0.{turn}"), &bytes);
        assert!(matches!(answer.status, 201 | 422), "{}", answer.text);
        if answer.status == 422 {
            let problem = answer.json();
            assert!(!problem["detail"].as_str().unwrap_or_default().is_empty(), "{}", answer.text);
            refused += 1;
        }
    }
    assert!(refused > 0, "every wrong component was taken");
    assert!(daemon.run().is_running());
    daemon.stop();
}

#[test]
fn an_upload_that_breaks_off_leaves_nothing() {
    let folder = Folder::new();
    let daemon = Daemon::start(&folder);
    let rules = component("fraud-rules");
    let head =
        format!("PUT {} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", plugin("p", "1.0.0"), rules.len());
    let mut stream = TcpStream::connect(daemon.address()).expect("a connection");
    stream.write_all(head.as_bytes()).expect("the head is taken");
    stream.write_all(&rules[..rules.len() / 2]).expect("half is taken");
    until("the upload began", wasmill_tests::daemon::LIMIT, || !stored(&folder).is_empty());
    stream.shutdown(Shutdown::Both).expect("the connection ends");
    until("the upload is gone", wasmill_tests::daemon::LIMIT, || stored(&folder).is_empty());
    daemon.push("p", "1.0.0", &rules).expect(201);
    daemon.stop();
}

#[test]
fn killed_at_any_step_of_an_upload_a_version_is_there_whole_or_not_at_all() {
    let folder = Folder::new();
    let rules = component("fraud-rules");
    for (point, there) in [
        ("catalog.before-compile", false),
        ("catalog.before-component", false),
        ("catalog.after-component", false),
        ("catalog.after-version", true),
    ] {
        let _ = std::fs::remove_dir_all(folder.path("daemon"));
        let mut daemon = Daemon::start_with(&folder, &[], Some(point));
        let answer = daemon.try_ask("PUT", &plugin("p", "1.0.0"), "application/wasm", &rules);
        assert!(answer.is_none(), "{point}: {answer:?}");
        assert!(daemon.run().wait(wasmill_tests::daemon::LIMIT).was_killed(), "it did not die at {point}");
        let daemon = Daemon::start(&folder);
        let status = daemon.get(&plugin("p", "1.0.0")).status;
        assert_eq!(status, if there { 200 } else { 404 }, "{point}");
        if !there {
            assert_eq!(stored(&folder), Vec::<String>::new(), "{point}");
        }
        daemon.push("p", "1.0.0", &rules).expect(if there { 200 } else { 201 });
        daemon.stop();
    }
}

#[test]
fn a_component_that_takes_too_long_or_too_much_to_compile_is_refused() {
    let folder = Folder::new();
    folder.write("wasmill.toml", "[limits]\ncompile_memory_max = \"1MiB\"\n");
    let daemon = Daemon::start_with(&folder, &["--config", "wasmill.toml"], None);
    daemon.push("p", "1.0.0", &component("fraud-rules")).expect_problem(422, "compile_limit", &["limits.compile_*"]);
    daemon.stop();
    folder.write("wasmill.toml", "[limits]\ncompile_time_max = \"1ms\"\n");
    let daemon = Daemon::start_with(&folder, &["--config", "wasmill.toml"], None);
    daemon.push("p", "1.0.0", &component("fraud-rules")).expect_problem(422, "compile_limit", &["0.001 s"]);
    daemon.stop();
}
