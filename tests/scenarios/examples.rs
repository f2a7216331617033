//! The example pipelines, as they are in `examples/`, compared with independent computations.

use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use wasmill_tests::compare::same_in_order_of_key;
use wasmill_tests::folder::Folder;
use wasmill_tests::json::{float, int, parse, text};
use wasmill_tests::kafka::{self, Broker, Isolation};
use wasmill_tests::settings;
use wasmill_tests::time::rfc3339_ms;
use wasmill_tests::topic::{Record, Watch, Writer};
use wasmill_tests::wait::{Deadline, now_ms, until};

/// The limit that the fraud example promises, from record to alert.
const ALERT_LATENCY_MAX: Duration = Duration::from_millis(200);

/// Runs `examples/NAME.toml` where it is, with state in `folder`.
fn example<'a>(folder: &'a Folder, name: &str) -> wasmill_tests::folder::Launch<'a> {
    folder.run(&example_file(name))
}

fn example_file(name: &str) -> String {
    settings::repository().join("examples").join(format!("{name}.toml")).display().to_string()
}

/// What the example's source makes, in order.
fn generated(folder: &Folder, kind: &str, count: u64) -> Vec<Value> {
    folder.write(
        "generated.toml",
        format!(
            "name = \"generated\"\n[sources.in]\nconnector = \"generator\"\nkind = \"{kind}\"\nseed = 7\ncount = {count}\n\
             [sinks.out]\nfrom = \"in\"\nconnector = \"stdout\"\n"
        ),
    );
    let ended = folder.run_in("generated.toml", "data-generated").args(["--until-end", "--workers", "1"]).end();
    let records: Vec<Value> = ended.expect_code(0).stdout.lines().map(parse).collect();
    assert_eq!(records.len() as u64, count);
    records
}

fn at(record: &Value) -> i64 {
    rfc3339_ms(text(record, "timestamp"))
}

/// The alerts of the fraud example: more than 5 transactions of a customer in 5 minutes, or an amount over 10,000.
fn alerts(transactions: &[Value]) -> Vec<Value> {
    let mut seen: HashMap<&str, Vec<i64>> = HashMap::new();
    let mut alerts = Vec::new();
    for transaction in transactions {
        let (customer, time, amount) =
            (text(transaction, "customer_id"), at(transaction), float(transaction, "amount"));
        let times = seen.entry(customer).or_default();
        times.push(time);
        let count = times.iter().filter(|it| time - 300_000 < **it && **it <= time).count();
        let mut reasons = Vec::new();
        if count > 5 {
            reasons.push(format!("High velocity: {count} transactions in 5 min"));
        }
        if amount > 10_000.0 {
            reasons.push(format!("High amount: {amount:.2}"));
        }
        if !reasons.is_empty() {
            alerts.push(json!({
                "customer_id": customer, "transaction_id": transaction["transaction_id"], "amount": amount,
                "alerts": reasons, "timestamp": transaction["timestamp"],
            }));
        }
    }
    alerts
}

#[test]
fn the_demo_alerts_on_what_is_fraud_and_on_nothing_else() {
    let folder = Folder::new();
    let expected = alerts(&generated(&folder, "transactions", 100_000));
    assert!(expected.len() > 10, "the stream has fraud in it");
    let ended = example(&folder, "demo").until_end();
    let found: Vec<Value> = ended.stdout.lines().map(parse).collect();
    same_in_order_of_key("alerts", "customer_id", &found, &expected);
    assert!(ended.stderr.contains("end of input"), "{}", ended.tails());
}

/// `examples/fraud.toml` with topics of its own on the real broker.
fn fraud<'a>(folder: &'a Folder, broker: &Broker) -> (wasmill_tests::folder::Launch<'a>, [String; 3]) {
    let topics =
        [broker.topic("transactions", 4), broker.topic("fraud-alerts", 4), broker.topic("fraud-dead-letters", 1)];
    let mut launch = example(folder, "fraud").set("name", &topics[0]);
    for (table, topic) in ["sources.transactions", "sinks.alerts", "dead_letters"].iter().zip(&topics) {
        launch = launch.set(&format!("{table}.brokers"), broker.address()).set(&format!("{table}.topic"), topic);
    }
    (launch, topics)
}

/// All transactions of a customer in one partition, in order.
fn record(transaction: &Value) -> Record {
    let customer = text(transaction, "customer_id");
    let partition = customer.bytes().map(i32::from).sum::<i32>() % 4;
    (partition, Some(customer.as_bytes().to_vec()), Some(transaction.to_string().into_bytes()))
}

#[test]
fn the_fraud_example_alerts_exactly_once_through_kafka() {
    let folder = Folder::new();
    let broker = kafka::shared();
    let transactions = generated(&folder, "transactions", 20_000);
    let (launch, [source, alerts_topic, dead_letters]) = fraud(&folder, broker);
    let writer = Writer::new(broker, &source);
    writer.send(transactions.iter().map(record));
    writer.send([(0, None, Some(b"{\"customer_id\":\"c-1\"}".to_vec()))]);
    let ended = launch.until_end();
    println!("{}", ended.tails()); // Seen where the test fails.
    let found: Vec<Value> =
        broker.read(&alerts_topic, Isolation::Committed).iter().map(|it| parse(it.text())).collect();
    same_in_order_of_key("alerts", "customer_id", &found, &alerts(&transactions));
    let dead = broker.read(&dead_letters, Isolation::Committed);
    assert_eq!(dead.len(), 1, "a transaction without its fields is kept apart");
    assert_eq!(dead[0].text(), "{\"customer_id\":\"c-1\"}");
}

#[test]
fn an_alert_is_there_within_200_ms_of_its_transaction() {
    let folder = Folder::alone();
    let broker = kafka::shared();
    let (launch, [source, alerts_topic, _]) = fraud(&folder, broker);
    let mut run = launch.set("delivery", "at-least-once").start();
    let writer = Writer::new(broker, &source);
    let send = |id: i64| {
        let transaction = json!({
            "transaction_id": id.to_string(), "customer_id": format!("c-{}", id % 50), "amount": 20_000.5,
            "timestamp": "2026-01-01T00:00:00Z",
        });
        let before = now_ms();
        writer.post([record(&transaction)]);
        before
    };
    let watch = Watch::new(broker, &alerts_topic);
    watch.follow();
    send(0);
    until("the first alert", Duration::from_secs(60), || {
        assert!(run.is_running(), "{}", run.stderr());
        watch.next(Duration::from_millis(10)).is_some()
    });

    let mut sent: BTreeMap<i64, u64> = BTreeMap::new();
    let mut latencies = Vec::new();
    let mut receive = |sent: &mut BTreeMap<i64, u64>| {
        let Some(alert) = watch.next(Duration::from_millis(1)) else { return };
        let id: i64 = text(&parse(&alert), "transaction_id").parse().expect("an id");
        if let Some(at) = sent.remove(&id) {
            latencies.push(now_ms() - at);
        }
    };
    for id in 1..=500 {
        let next = Deadline::after(Duration::from_millis(20));
        sent.insert(id, send(id));
        while !next.is_over() {
            receive(&mut sent);
        }
    }
    let limit = Deadline::after(Duration::from_secs(10));
    while !sent.is_empty() && !limit.is_over() {
        receive(&mut sent);
    }
    run.signal(wasmill_tests::process::Signal::Terminate);
    run.wait(Duration::from_secs(30)).expect_code(0);
    assert!(sent.is_empty(), "{} alerts never came", sent.len());
    latencies.sort_unstable();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
    println!("from record to alert: median {} ms, p99 {} ms, longest {} ms", at(0.5), at(0.99), at(1.0));
    assert!(u128::from(at(0.99)) <= ALERT_LATENCY_MAX.as_millis(), "p99 is {} ms", at(0.99));
}

#[test]
fn the_surge_example_prices_the_demand_of_each_cell() {
    let folder = Folder::new();
    let mut demand: BTreeMap<(String, i64), i64> = BTreeMap::new();
    for ride in generated(&folder, "rides", 100_000) {
        *demand.entry((text(&ride, "cell").to_owned(), at(&ride).div_euclid(5_000) * 5_000)).or_default() += 1;
    }
    let price = |((cell, start), demand): ((String, i64), i64)| {
        let multiplier = match demand {
            20.. => 2.0,
            10.. => 1.5,
            5.. => 1.2,
            _ => 1.0,
        };
        json!({
            "cell": cell, "window_start": start, "window_end": start + 5_000, "demand": demand, "multiplier": multiplier,
        })
    };
    let expected: Vec<Value> = demand.into_iter().map(price).collect();
    let found: Vec<Value> = example(&folder, "surge").until_end().stdout.lines().map(parse).collect();
    same_in_order_of_key("prices", "cell", &found, &expected);
}

#[test]
fn the_sensors_example_alerts_once_an_excursion() {
    let folder = Folder::new();
    let mut hot: HashMap<String, bool> = HashMap::new();
    let mut expected = Vec::new();
    for reading in generated(&folder, "sensors", 100_000) {
        let (device, temperature) = (text(&reading, "device").to_owned(), float(&reading, "temperature"));
        let was_hot = hot.insert(device.clone(), temperature > 85.0).unwrap_or(false);
        if temperature > 85.0 && !was_hot {
            expected.push(json!({"device": device, "temperature": temperature, "at": at(&reading)}));
        }
    }
    assert!(expected.len() > 10, "some devices get too hot");
    let found: Vec<Value> = example(&folder, "sensors").until_end().stdout.lines().map(parse).collect();
    same_in_order_of_key("alerts", "device", &found, &expected);
}

/// Orders and revenue of every 5 minutes: the last row of each window, by its start.
fn last_rows(rows: &[Value]) -> BTreeMap<i64, &Value> {
    rows.iter().map(|it| (int(it, "window_start"), it)).collect()
}

fn check_revenue(rows: &[Value], orders: &[Value]) {
    let mut expected: BTreeMap<i64, (i64, f64)> = BTreeMap::new();
    for order in orders {
        let window = expected.entry(at(order).div_euclid(300_000) * 300_000).or_default();
        window.0 += 1;
        window.1 += float(order, "amount");
    }
    let found = last_rows(rows);
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "windows");
    for (start, (orders, revenue)) in expected {
        let row = found[&start];
        assert_eq!((int(row, "orders"), int(row, "window_end")), (orders, start + 300_000), "{row}");
        assert!((float(row, "revenue") - revenue).abs() < 1e-6 * revenue, "{row}, expected a revenue of {revenue}");
    }
}

#[test]
fn the_revenue_example_ends_with_the_revenue_of_each_window() {
    let folder = Folder::new();
    let orders = generated(&folder, "orders", 100_000);
    let found: Vec<Value> = example(&folder, "revenue").until_end().stdout.lines().map(parse).collect();
    check_revenue(&found, &orders);
}

#[test]
fn the_revenue_example_refreshes_a_window_while_orders_come_in() {
    let folder = Folder::new();
    let orders = generated(&folder, "orders", 6_000);
    let launch = example(&folder, "revenue").set("sources.orders.count", 6_000).set("sources.orders.rate", 2_000);
    let ended = launch.set("steps.per_window.emit.every", "100ms").until_end();
    let found: Vec<Value> = ended.stdout.lines().map(parse).collect();
    check_revenue(&found, &orders);
    let mut counts: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for row in &found {
        counts.entry(int(row, "window_start")).or_default().push(int(row, "orders"));
    }
    assert!(counts.values().all(|it| it.is_sorted()), "a window's orders never become fewer: {counts:?}");
    assert!(counts.values().any(|it| it.len() > 2), "a window is refreshed before it closes: {counts:?}");
    for refreshed in counts.values() {
        let mut distinct = refreshed.clone();
        distinct.dedup();
        assert!(refreshed.len() <= distinct.len() + 1, "only what changed is written again: {refreshed:?}");
    }
}

#[test]
fn the_dashboard_example_shows_whole_tables_and_ends_with_the_last_one() {
    let folder = Folder::new();
    let orders = generated(&folder, "orders", 6_000);
    let launch = example(&folder, "dashboard").set("sources.orders.count", 6_000).set("sources.orders.rate", 3_000);
    let found: Vec<Value> = launch.until_end().stdout.lines().map(parse).collect();
    let mut whole: BTreeMap<i64, (i64, f64, f64)> = BTreeMap::new();
    for order in &orders {
        let last = at(order).div_euclid(60_000) * 60_000;
        for start in (0..5).map(|it| last - it * 60_000) {
            let window = whole.entry(start).or_default();
            *window = (window.0 + 1, window.1 + float(order, "amount"), window.2.max(float(order, "amount")));
        }
    }
    // A table has each window once, by its end: a new one begins where a row is no later than the one before.
    let mut tables: Vec<Vec<&Value>> = Vec::new();
    for row in &found {
        match tables.last_mut() {
            Some(table) if table.last().is_some_and(|it| int(it, "window_end") < int(row, "window_end")) => {
                table.push(row)
            }
            _ => tables.push(vec![row]),
        }
    }
    assert!(tables.len() > 3, "{} tables", tables.len());
    let mut before: BTreeMap<i64, i64> = BTreeMap::new();
    for table in &tables {
        let orders: BTreeMap<i64, i64> = table.iter().map(|it| (int(it, "window_start"), int(it, "orders"))).collect();
        let shrunk = before.iter().find(|(start, count)| orders.get(start).is_some_and(|it| it < count));
        assert_eq!(shrunk, None, "a window's orders never become fewer");
        assert_ne!(orders, before, "a table is written when something changed");
        before = orders;
    }
    for row in found {
        let (orders, revenue, largest) = whole[&int(&row, "window_start")];
        assert!(int(&row, "orders") <= orders && float(&row, "revenue") <= revenue * 1.000_001, "{row}");
        if int(&row, "orders") == orders {
            assert!((float(&row, "revenue") - revenue).abs() < 1e-6 * revenue, "{row}");
            assert_eq!(float(&row, "largest"), largest, "{row}");
        }
    }
}

#[test]
fn the_invoices_example_counts_the_months_of_paris_and_corrects_an_invoice() {
    let folder = Folder::new();
    let out = folder.path("too-late");
    let launch = example(&folder, "invoices").set("sinks.too_late.path", out.display());
    let found: Vec<Value> = launch.until_end().stdout.lines().map(parse).collect();
    // When months begin in Paris: at 23:00 UTC of the day before in winter, at 22:00 in summer.
    let months = ["2026-01-31T23:00:00Z", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z", "2026-04-30T22:00:00Z"];
    let months = months.map(rfc3339_ms);
    let invoice =
        |seller: &str, month: usize, pane: (&str, i64), (orders, amount, customers, last): (i64, f64, i64, &str)| {
            json!({
                "seller_id": seller, "window_start": months[month], "window_end": months[month + 1], "pane": pane.0,
                "pane_index": pane.1, "orders": orders, "amount": amount, "customers": customers, "last_order": last,
            })
        };
    let mut expected = [
        invoice("s-01", 0, ("on-time", 0), (1, 10.5, 1, "o-001")),
        invoice("s-01", 1, ("on-time", 0), (4, 151.25, 3, "o-007")),
        invoice("s-02", 1, ("on-time", 0), (3, 57.0, 2, "o-009")),
        invoice("s-01", 1, ("late", 1), (5, 221.25, 4, "o-007")),
        invoice("s-01", 2, ("on-time", 0), (1, 40.0, 1, "o-008")),
        invoice("s-02", 2, ("on-time", 0), (2, 140.0, 2, "o-012")),
    ];
    // Numbers by value: a sum of whole numbers is written as one.
    let plain = |row: &Value| {
        let mut row = row.clone();
        row["amount"] = json!(float(&row, "amount"));
        row.to_string()
    };
    let mut found: Vec<String> = found.iter().map(plain).collect();
    found.sort();
    expected.sort_by_key(plain);
    assert_eq!(found, expected.iter().map(plain).collect::<Vec<_>>());
    let late: Vec<Value> = folder.records("too-late");
    assert_eq!(late.iter().map(|it| text(it, "order_id")).collect::<Vec<_>>(), ["o-013"]);
}

#[test]
fn the_orders_enriched_example_shows_each_customer_as_of_the_order() {
    let folder = Folder::new();
    let file = settings::repository().join("examples/data/customers.jsonl");
    let changes: Vec<Value> =
        std::fs::read_to_string(file).expect("the changes are there").lines().map(parse).collect();
    let mut expected = Vec::new();
    for order in generated(&folder, "orders", 100_000) {
        let of_customer = |it: &&Value| {
            let row = if it["after"].is_null() { &it["before"] } else { &it["after"] };
            row["id"] == order["customer_id"] && int(&it["source"], "ts_ms") <= at(&order)
        };
        // The file is in the order of time.
        let customer = changes.iter().rfind(of_customer).map_or(&Value::Null, |it| &it["after"]);
        let level = customer["level"].as_str();
        if matches!(level, Some("silver" | "gold")) && float(&order, "amount") >= 20.0 {
            expected.push(json!({
                "order_id": order["order_id"], "amount": order["amount"], "customer_id": order["customer_id"],
                "level": level, "country": customer["country"],
            }));
        }
    }
    assert!(expected.len() > 500, "{} orders are of customers that are known", expected.len());
    for workers in ["1", "3"] {
        let launch = folder.run_in(&example_file("orders-enriched"), &format!("data-{workers}"));
        let ended = launch.args(["--workers", workers]).until_end();
        let found: Vec<Value> = ended.stdout.lines().map(parse).collect();
        same_in_order_of_key("orders", "customer_id", &found, &expected);
    }
}

#[test]
fn the_trending_example_ranks_the_sellers_of_each_hour() {
    const HOUR_MS: i64 = 3_600_000;
    let folder = Folder::new();
    let mut sold: BTreeMap<i64, BTreeMap<String, (i64, f64)>> = BTreeMap::new();
    for order in generated(&folder, "orders", 100_000) {
        let hour = sold.entry(at(&order).div_euclid(HOUR_MS) * HOUR_MS).or_default();
        let (orders, revenue) = hour.entry(text(&order, "seller_id").to_owned()).or_default();
        *orders += 1;
        *revenue += float(&order, "amount");
    }
    assert!(sold.len() > 3, "there are some hours: {}", sold.len());
    let found: Vec<Value> = example(&folder, "trending").until_end().stdout.lines().map(parse).collect();
    let mut rows = found.iter();
    for (hour, sellers) in sold {
        let mut sellers: Vec<_> = sellers.into_iter().collect();
        sellers.sort_by(|a, b| (-a.1.0, &a.0).cmp(&(-b.1.0, &b.0)));
        for (rank, (seller, (orders, revenue))) in sellers.into_iter().take(10).enumerate() {
            let row = rows.next().expect("a row for each rank");
            assert_eq!((int(row, "hour"), int(row, "rank")), (hour, rank as i64 + 1), "{row}");
            assert_eq!((text(row, "seller"), int(row, "orders")), (&*seller, orders), "{row}");
            assert!((float(row, "revenue") - revenue).abs() < 1e-6 * revenue, "{row}, expected {revenue}");
        }
    }
    assert_eq!(rows.next(), None);
}

#[test]
fn every_example_has_a_test_and_passes_its_check() {
    let folder = Folder::new();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(settings::repository().join("examples")).expect("there are examples") {
        let path = entry.expect("a folder can be listed").path();
        if path.extension().is_some_and(|it| it == "toml") {
            folder.wasmill(["check".as_ref(), path.as_os_str()]).end().expect_code(0);
            names.push(path.file_stem().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default());
        }
    }
    names.sort();
    let tested =
        ["dashboard", "demo", "fraud", "invoices", "orders-enriched", "revenue", "sensors", "surge", "trending"];
    assert_eq!(names, tested, "a new example needs a test here");
}
