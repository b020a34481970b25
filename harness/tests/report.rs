//! The reports of recorded runs, as people and machines read them: in a real browser from disk, and
//! from the files.

mod support;

use std::path::Path;

use gymcheck::evidence::{Event, FORMAT_VERSION, Fact, Header, Log};
use gymcheck::report::{OutFolder, Results, defects, write_reports};
use gymcheck::run::{find_root, record};
use gymcheck::spec::Catalogue;
use gymcheck::target::{PINNED_RELEASE, TargetFacts};
use serde_json::{Value, json};
use support::{Browser, Kind, scenarios};

/// The recorded logs: a run that passes, and one whose target has a fault.
const GOOD: &str = "good";
const BAD: &str = "late-end-not-guarded";

fn recorded(name: &str) -> Log {
    let path = find_root().join(format!("fixtures/evidence/{name}.jsonl"));
    Log::read(&path).expect("a recorded log")
}

/// Lays down a run's folder: its evidence, and the pictures that it tells of.
fn lay_down(log: &Log, folder: &Path) {
    std::fs::create_dir_all(folder).expect("a folder");
    let header = Header {
        gymcheck_evidence: FORMAT_VERSION,
    };
    let mut lines = vec![serde_json::to_string(&header).expect("a header")];
    lines.extend(
        log.events()
            .iter()
            .map(|event| serde_json::to_string(event).expect("an event")),
    );
    std::fs::write(folder.join("evidence.jsonl"), lines.join("\n") + "\n").expect("written");
    for event in log.events() {
        if let Fact::Screenshot(taken) = &event.fact {
            picture(&folder.join(&taken.file));
        }
    }
}

fn picture(file: &Path) {
    let file = std::fs::File::create(file).expect("a file");
    let mut encoder = png::Encoder::new(file, 64, 48);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(&[90; 64 * 48 * 3]).expect("pixels");
}

/// Judges a log, as a run of the target itself that nobody expects to fail.
fn add(results: &mut Results, catalogue: &Catalogue, log: &Log, folder: &str) {
    let run = log.run().expect("a run");
    let spec = catalogue.spec(&run.spec).expect("its spec");
    let known = catalogue.expectations.get(&run.target);
    let known = known.map_or(&[][..], Vec::as_slice);
    let mut judged = record(spec, log, known, folder.into());
    judged.mutant = None;
    results.runs.push(judged);
}

/// The reports of these logs, in a folder of their own.
fn report(logs: &[(&str, Log)]) -> tempfile::TempDir {
    let out = tempfile::tempdir().expect("a folder");
    let catalogue = Catalogue::read(&find_root()).expect("the checkout's specs");
    let mut results = Results::new(vec![TargetFacts::from(&PINNED_RELEASE)]);
    for (name, log) in logs {
        let folder = format!("runs/{name}");
        lay_down(log, &out.path().join(&folder));
        add(&mut results, &catalogue, log, &folder);
    }
    results.defects = defects(&results.runs, &results.targets);
    results.explain(&catalogue);
    write_reports(&results, out.path()).expect("written");
    out
}

fn changed(log: &Log, change: impl Fn(&mut Event)) -> Log {
    let mut events = log.events().to_vec();
    events.iter_mut().for_each(change);
    Log::new(events)
}

/// Opens the report from disk, and waits until the first run is drawn.
async fn open(browser: &Browser, out: &Path) {
    let address = url::Url::from_file_path(out.join("report.html")).expect("a path");
    browser
        .client
        .goto(address.as_str())
        .await
        .expect("it opens");
    browser
        .client
        .wait()
        .for_element(fantoccini::Locator::Css(".timeline svg .item"))
        .await
        .expect("a timeline is drawn");
}

/// What a script returns. It is the driver's own: the page's policy lets nobody else's run.
async fn run(browser: &Browser, script: &str) -> Value {
    let ran = browser.client.execute(script, Vec::new()).await;
    ran.unwrap_or_else(|error| panic!("{script}: {error}"))
}

/// How wide and high the browser shows the page.
async fn resize(browser: &Browser, width: u32, height: u32) {
    browser
        .client
        .set_window_size(width, height)
        .await
        .expect("another size");
}

async fn a_failing_run_is_told_from_disk(kind: Kind) {
    let out = report(&[(GOOD, recorded(GOOD)), (BAD, recorded(BAD))]);
    let browser = Browser::start(kind).await;
    resize(&browser, 1280, 900).await;
    open(&browser, out.path()).await;

    let asked = run(
        &browser,
        "return performance.getEntriesByType('resource').map(one => one.name)",
    );
    let asked = asked.await;
    let elsewhere = |one: &Value| !one.as_str().is_some_and(|one| one.starts_with("data:"));
    let elsewhere: Vec<&Value> = asked
        .as_array()
        .expect("a list")
        .iter()
        .filter(|one| elsewhere(one))
        .collect();
    assert_eq!(elsewhere, Vec::<&Value>::new(), "it asks for nothing");

    let heading = run(&browser, "return document.querySelector('h1').textContent").await;
    assert!(
        heading
            .as_str()
            .is_some_and(|text| text.contains("unexpected")),
        "{heading}"
    );
    let lanes = run(&browser, "return [...document.querySelector('.timeline').querySelectorAll('.lane-name')].map(one => one.textContent)").await;
    assert_eq!(
        lanes,
        json!(["run", "survivor", "partner", "server", "kernel"])
    );
    let first = run(&browser, "return document.querySelector('details.run[open]').id === document.querySelector('details.run').id").await;
    assert_eq!(first, true, "the failing run is open");

    let lit = run(
        &browser,
        "document.querySelector('details.run[open] .check.fail > .show').click();
         return [...document.querySelectorAll('.timeline .lit')].map(one => one.dataset.label)",
    );
    let lit = lit.await;
    let mentions = |word: &str| {
        lit.as_array().is_some_and(|lit| {
            lit.iter()
                .any(|one| one.as_str().is_some_and(|one| one.contains(word)))
        })
    };
    assert!(mentions("p2p_game_ended"), "the stimulus is lit: {lit}");
    assert!(
        mentions("partnerDisconnectedContainer"),
        "the overlay is lit: {lit}"
    );
    assert!(
        !mentions("webrtc_signal"),
        "what it does not rest on is not: {lit}"
    );
    let listed = run(
        &browser,
        "return document.querySelectorAll('details.run[open] .evidence div').length",
    )
    .await;
    assert!(
        listed.as_u64() > Some(1),
        "the evidence is listed: {listed}"
    );

    let left = run(
        &browser,
        "[...document.querySelectorAll('details.run[open] .tools button')]
           .find(one => one.textContent === 'Nothing lit').click();
         return [document.querySelectorAll('.timeline .lit').length,
                 document.querySelectorAll('[aria-pressed=true]').length,
                 document.querySelectorAll('.lit-item').length]",
    );
    let left = left.await;
    assert_eq!(
        left,
        serde_json::json!([0, 0, 0]),
        "nothing is lit or pressed"
    );

    for width in [1280, 400] {
        resize(&browser, width, 900).await;
        let sizes = "return [innerWidth, document.documentElement.scrollWidth]";
        let sizes = run(&browser, sizes).await;
        assert!(
            sizes[1].as_u64() <= sizes[0].as_u64(),
            "at {width}: what is shown, and how wide the page is: {sizes}"
        );
        // Firefox has no window that is narrower than 500.
        assert!(sizes[0].as_u64() <= Some(width.max(500).into()), "{sizes}");
    }
    if let Ok(folder) = std::env::var("GYMCHECK_KEEP_PICTURES") {
        keep_pictures(&browser, out.path(), Path::new(&folder), kind).await;
    }
    browser.close().await;
}

/// Pictures of the report, for people who change it.
async fn keep_pictures(browser: &Browser, out: &Path, folder: &Path, kind: Kind) {
    for width in [1280, 500] {
        resize(browser, width, 1400).await;
        open(browser, out).await;
        for (name, script) in [
            ("top", "scrollTo(0, 0)"),
            (
                "run",
                "document.querySelector('details.run[open] .check.fail > .show').click(); document.querySelector('details.run[open]').scrollIntoView()",
            ),
            (
                "timeline",
                "document.querySelector('.timeline').scrollIntoView()",
            ),
            ("logs", "document.querySelector('.log').scrollIntoView()"),
        ] {
            run(browser, script).await;
            let image = browser.client.screenshot().await.expect("a picture");
            std::fs::write(folder.join(format!("{kind}-{width}-{name}.png")), image)
                .expect("written");
        }
    }
}

async fn what_runs_bring_with_them_is_no_script(kind: Kind) {
    const HOSTILE: &str =
        "</script><img src=x onerror=\"window.owned = 1\"><script>window.owned = 1</script>";
    let hostile = changed(&recorded(BAD), |event| match &mut event.fact {
        Fact::Run(run) => run.target = HOSTILE.to_owned(),
        Fact::ServerLog { line } => *line = HOSTILE.to_owned(),
        Fact::Screenshot(taken) => taken.label = HOSTILE.to_owned(),
        Fact::Page(page) => {
            if let gymcheck::evidence::PageFact::Console { text, .. } = &mut page.what {
                *text = HOSTILE.to_owned();
            }
        }
        Fact::Step(step) => step.step = HOSTILE.to_owned(),
        _ => {}
    });
    let out = report(&[("hostile", hostile)]);
    let browser = Browser::start(kind).await;
    open(&browser, out.path()).await;
    let shown = run(
        &browser,
        "return document.body.textContent.includes('window.owned = 1')",
    )
    .await;
    assert_eq!(shown, true, "it is shown as text");
    let owned = run(
        &browser,
        "return typeof (window.wrappedJSObject || window).owned",
    )
    .await;
    assert_eq!(owned, "undefined");
    browser.close().await;
}

async fn it_is_drawn_on_what_the_time_went(kind: Kind) {
    let out = report(&[(GOOD, recorded(GOOD)), (BAD, recorded(BAD))]);
    let browser = Browser::start(kind).await;
    resize(&browser, 1280, 900).await;
    open(&browser, out.path()).await;
    // Of the run that is open, and of both in their rows: the parts stand side by side, from end to end.
    let drawn = run(
        &browser,
        "for (const one of document.querySelectorAll('details')) one.open = true;
         return [...document.querySelectorAll('svg.spent')].map((chart) => {
           const parts = [...chart.querySelectorAll('rect:not(.run)')];
           const boxes = parts.map((part) => part.getBoundingClientRect());
           const whole = chart.getBoundingClientRect();
           const sum = boxes.reduce((sum, box) => sum + box.width, 0);
           return {
             parts: parts.length,
             share: sum / whole.width,
             runs: chart.querySelectorAll('rect.run').length,
             inside: boxes.every((box) => box.right <= whole.right + 1 && box.left >= whole.left - 1),
           };
         })",
    );
    let drawn = drawn.await;
    let charts = drawn.as_array().expect("charts");
    let of_call: Vec<&Value> = charts.iter().filter(|one| one["runs"] != 0).collect();
    assert_eq!(of_call.len(), 1, "{drawn}");
    assert_eq!(of_call[0]["runs"], 2, "{drawn}");
    let of_run = charts
        .iter()
        .find(|one| one["runs"] == 0)
        .expect("a run's bar");
    assert!(of_run["parts"].as_u64() > Some(8), "{drawn}");
    let share = of_run["share"].as_f64().expect("a share");
    assert!((0.98..1.02).contains(&share), "{drawn}");
    assert!(charts.iter().all(|one| one["inside"] == true), "{drawn}");
    browser.close().await;
}

scenarios! { a_failing_run_is_told_from_disk it_is_drawn_on_what_the_time_went what_runs_bring_with_them_is_no_script }

#[test]
fn a_folder_that_another_call_writes_into_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let _other = OutFolder::take(folder.path()).expect("it is free");
    for call in [["run", "scene-exit"].as_slice(), &["sweep"]] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_gymcheck"))
            .args(call)
            .arg("--out")
            .arg(folder.path())
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("another gymcheck writes into"), "{said}");
    }
}

#[test]
fn a_trace_has_the_tracks_of_both_players() {
    let out = report(&[(GOOD, recorded(GOOD))]);
    let file = std::fs::read(out.path().join("runs/good/trace.json")).expect("a trace");
    let trace: Value = serde_json::from_slice(&file).expect("JSON");
    let events = trace["traceEvents"].as_array().expect("events");
    let named = |kind: &str| -> Vec<(&Value, &str)> {
        let names = events
            .iter()
            .filter(|event| event["ph"] == "M" && event["name"] == kind);
        names
            .map(|event| {
                (
                    &event["pid"],
                    event["args"]["name"].as_str().expect("a name"),
                )
            })
            .collect()
    };
    let processes = named("process_name");
    for player in ["survivor", "partner"] {
        let (process, _) = processes
            .iter()
            .find(|(_, name)| *name == player)
            .expect("a track");
        let of_it = |phase: &str| {
            events
                .iter()
                .filter(|event| event["ph"] == phase && event["pid"] == **process)
                .count()
        };
        assert!(of_it("X") > 3, "{player}: what lasts");
        assert!(of_it("i") > 20, "{player}: what happens");
    }
    for event in events {
        let known = ["M", "X", "i"].iter().any(|phase| event["ph"] == *phase);
        assert!(
            known && event["pid"].is_u64() && event["tid"].is_u64(),
            "{event}"
        );
        assert!(event["ph"] == "M" || event["ts"].is_number(), "{event}");
        assert!(
            event["ph"] != "X" || event["dur"].as_f64() >= Some(0.0),
            "{event}"
        );
    }
}

/// A thousand runs make a page that still opens: `cargo test --release --test report -- --ignored`.
#[tokio::test]
#[ignore = "it takes a minute"]
async fn a_thousand_runs_stay_below_30_megabytes_and_open() {
    let out = tempfile::tempdir().expect("a folder");
    let catalogue = Catalogue::read(&find_root()).expect("the checkout's specs");
    let mut results = Results::new(vec![TargetFacts::from(&PINNED_RELEASE)]);
    let names = [
        "good",
        "in-game",
        "cleanup-not-called",
        "late-end-not-guarded",
    ];
    let logs = names.map(recorded);
    while results.runs.len() < 1000 {
        let number = results.runs.len();
        let log = &logs[number % logs.len()];
        let folder = format!("runs/{number}");
        lay_down(log, &out.path().join(&folder));
        add(&mut results, &catalogue, log, &folder);
    }
    results.explain(&catalogue);
    let began = std::time::Instant::now();
    let reports = write_reports(&results, out.path()).expect("written");
    let size = std::fs::metadata(&reports.html).expect("a file").len();
    eprintln!(
        "{} runs: {size} bytes in {:?}",
        results.runs.len(),
        began.elapsed()
    );
    assert!(size < 30_000_000, "{size} bytes");
    let browser = Browser::start(Kind::Chrome).await;
    let began = std::time::Instant::now();
    open(&browser, out.path()).await;
    let shown = run(
        &browser,
        "return document.getElementById('shown').textContent",
    )
    .await;
    eprintln!("open after {:?}: {shown}", began.elapsed());
    assert_eq!(shown, "100 of 1000 shown");
    run(
        &browser,
        "const last = [...document.querySelectorAll('details.run')].at(-1);
         last.hidden = false;
         last.open = true;
         last.dataset.last = 'yes';",
    )
    .await;
    let drawn = fantoccini::Locator::Css("[data-last] .timeline svg .item");
    let last = browser.client.wait().for_element(drawn).await;
    last.expect("the last run opens");
    browser.close().await;
}
