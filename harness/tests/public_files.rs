//! What a page asks of public hosts: resolved by rule to packages of the registries, and, where the user wants
//! it, taken from the network, for which a server on this machine stands here. No browser.

use std::net::Ipv4Addr;
use std::path::Path;

use axum::Router;
use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use gymcheck::evidence::{Fact, PublicFileFact, Recorder};
use gymcheck::gateway::{Gateway, GatewayOptions, Mirror, MirrorEntry};
use gymcheck::provision::{self, Cdn, Home, Question, Supply};
use serde_json::json;
use tokio::net::TcpListener;

/// A server on this machine, as `http://127.0.0.1:40001`.
async fn serve(router: Router) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("a port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// What stands for the public hosts.
fn hosts() -> Router {
    let answer = |uri: Uri| async move {
        let (kind, text) = match uri.path() {
            "/cdn.example.org/a.js" => (
                "text/javascript; charset=utf-8",
                "fetch('https://cdn.jsdelivr.net/b.js')",
            ),
            "/fonts.googleapis.com/css" => (
                "text/css",
                "a { src: url(https://fonts.gstatic.com/s/a.woff2) }",
            ),
            _ => return StatusCode::NOT_FOUND.into_response(),
        };
        ([(header::CONTENT_TYPE, kind)], text).into_response()
    };
    Router::new().fallback(answer)
}

struct Bench {
    gateway: Gateway,
    recorder: Recorder,
    _home: tempfile::TempDir,
}

impl Bench {
    /// A gateway whose mirror has one file, and takes others from `hosts`, if it may.
    async fn new(hosts: Option<&str>) -> Bench {
        let home = tempfile::tempdir().expect("a folder");
        let file = home.path().join("at-hand.js");
        std::fs::write(&file, "at hand").expect("written");
        let entry = MirrorEntry {
            url: "https://cdn.example.org/at-hand.js".into(),
            path: file,
            media_type: "text/javascript".into(),
        };
        let mirror = match hosts {
            None => Mirror::new(vec![entry]),
            Some(hosts) => {
                let cdn = Cdn::stand_in(&Home::at(home.path()), hosts).expect("a client");
                Mirror::with_cdn(vec![entry], cdn)
            }
        };
        let page = "<head><script src='https://cdn.example.org/a.js' integrity='sha384-x'></script></head>";
        let target = serve(Router::new().route("/", get(move || async move { Html(page) }))).await;
        let upstream = target.trim_start_matches("http://").parse();
        let recorder = Recorder::in_memory();
        let options = GatewayOptions {
            upstream: upstream.expect("an address"),
            players: vec!["survivor".into()],
            mirror,
            edits: Vec::new(),
            probe_script: "probe(/*GYMCHECK_CONFIG*/{})".into(),
        };
        let gateway = Gateway::start(options, recorder.clone()).await;
        Bench {
            gateway: gateway.expect("a gateway"),
            recorder,
            _home: home,
        }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build();
        let address = format!("{}{path}", self.gateway.origin("survivor"));
        let answer = client.expect("a client").get(address).send().await;
        let answer = answer.expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.text().await.expect("a text"))
    }

    fn taken(&self) -> Vec<PublicFileFact> {
        let log = self.recorder.log();
        let taken = log.events().iter().filter_map(|event| match &event.fact {
            Fact::PublicFile(fact) => Some(fact.clone()),
            _ => None,
        });
        taken.collect()
    }

    fn missed(&self) -> Vec<String> {
        let log = self.recorder.log();
        let missed = log.events().iter().filter_map(|event| match &event.fact {
            Fact::MirrorMiss { url } => Some(url.clone()),
            _ => None,
        });
        missed.collect()
    }
}

const A: &str = "/__gymcheck/mirror/cdn.example.org/a.js";

#[tokio::test]
async fn what_is_not_at_hand_comes_from_the_network_once_and_is_in_the_evidence() {
    let bench = Bench::new(Some(&serve(hosts()).await)).await;
    let origin = bench.gateway.origin("survivor");
    let (_, page) = bench.get("/").await;
    assert!(
        page.contains(&format!("<script src=\"{A}\"></script>")),
        "{page}"
    );
    // What a script or a stylesheet names leads to the mirror as well.
    let led = format!("fetch('{origin}/__gymcheck/mirror/cdn.jsdelivr.net/b.js')");
    assert_eq!(bench.get(A).await, (200, led.clone()));
    assert_eq!(bench.get(A).await, (200, led));
    let style = bench
        .get("/__gymcheck/mirror/fonts.googleapis.com/css")
        .await
        .1;
    assert!(style.contains(&format!(
        "url({origin}/__gymcheck/mirror/fonts.gstatic.com/s/a.woff2)"
    )));
    let taken = bench.taken();
    let told: Vec<(&str, bool)> = taken
        .iter()
        .map(|fact| (fact.url.as_str(), fact.from_network))
        .collect();
    assert_eq!(
        told,
        [
            ("https://cdn.example.org/a.js", true),
            ("https://cdn.example.org/a.js", false),
            ("https://fonts.googleapis.com/css", true),
        ]
    );
    // The digest is that of what the host gave.
    assert_eq!(taken[0].size, 38);
    let (status, text) = bench
        .get("/__gymcheck/mirror/cdn.example.org/none.js")
        .await;
    assert_eq!(status, 404);
    assert!(text.contains("status 404"), "{text}");
    assert_eq!(bench.missed(), ["https://cdn.example.org/none.js"]);
    assert!(bench.recorder.broken().is_none());
}

#[tokio::test]
async fn what_is_at_hand_is_not_asked_of_the_network() {
    let bench = Bench::new(Some("http://127.0.0.1:1")).await;
    let at_hand = bench
        .get("/__gymcheck/mirror/cdn.example.org/at-hand.js")
        .await;
    assert_eq!(at_hand, (200, "at hand".to_owned()));
    assert!(bench.taken().is_empty());
}

#[tokio::test]
async fn a_network_that_is_not_reached_breaks_the_run() {
    let bench = Bench::new(Some("http://127.0.0.1:1")).await;
    assert_eq!(bench.get(A).await.0, 502);
    let broken = bench.recorder.broken().expect("the run is broken");
    assert!(
        broken.reason.contains("cannot be taken from the network"),
        "{}",
        broken.reason
    );
}

#[tokio::test]
async fn without_the_users_wish_nothing_is_asked_of_the_network() {
    let bench = Bench::new(None).await;
    assert_eq!(bench.get(A).await.0, 404);
    assert_eq!(bench.missed(), ["https://cdn.example.org/a.js"]);
    assert!(bench.taken().is_empty());
}

/// A home that has what setup got, and whose own locks are empty.
fn fresh_home(folder: &Path) -> (Home, Supply) {
    let own = Home::locate().expect("a home");
    let supply = Supply {
        assets: provision::assets(&own).expect("run: gymcheck setup --yes"),
        list: provision::pyodide_list().expect("the list"),
    };
    let home = Home::at(folder);
    let targets = own.root().join("targets");
    std::os::unix::fs::symlink(targets, folder.join("targets")).expect("a link");
    (home, supply)
}

fn urls(supply: &Supply) -> Vec<&str> {
    supply
        .assets
        .iter()
        .map(|asset| asset.url.as_str())
        .collect()
}

/// A host that serves this list for any Pyodide.
async fn pyodide_host(abi: &str) -> String {
    let package = |name: &str, version: &str, file: &str| {
        json!({
            "name": name, "version": version, "file_name": file, "depends": [], "imports": [name],
            "sha256": "ab".repeat(32), "install_dir": "site", "package_type": "package",
            "shared_library": false, "unvendored_tests": false,
        })
    };
    let numpy = "numpy-1.26.4-cp312-cp312-pyodide_2024_0_wasm32.whl";
    let list = json!({
        "info": {
            "abi_version": abi, "arch": "wasm32", "platform": "emscripten_3_1_58", "python": "3.12.7",
            "version": "0.26.2",
        },
        "packages": {
            "numpy": package("numpy", "1.26.4", numpy),
            "micropip": package("micropip", "0.6.0", "micropip-0.6.0-py3-none-any.whl"),
        },
    });
    let answer = move || async move { axum::Json(list) };
    serve(Router::new().fallback(answer)).await
}

const PYODIDE: &str = "https://cdn.jsdelivr.net/pyodide/v0.26.2/full/";

async fn with_list_of(host: &str) -> (tempfile::TempDir, Home, Supply) {
    let folder = tempfile::tempdir().expect("a folder");
    let (home, mut supply) = fresh_home(folder.path());
    let cdn = Cdn::stand_in(&home, host).expect("a client");
    let page = [format!("{PYODIDE}pyodide.js")];
    let taken = provision::list_of_cdn(&cdn, &mut supply, &page).await;
    taken.expect("the list");
    (folder, home, supply)
}

fn version_of(supply: &Supply, name: &str) -> Option<String> {
    let packages = supply.list.packages();
    let mut packages = packages.into_iter();
    packages.find_map(|(known, version)| (known == name).then_some(version))
}

#[tokio::test]
async fn a_public_hosts_own_list_of_packages_goes_before_what_is_at_hand() {
    let (_folder, _, supply) = with_list_of(&pyodide_host("2024_0").await).await;
    assert_eq!(version_of(&supply, "numpy").as_deref(), Some("1.26.4"));
    // What the host does not have stays.
    assert_eq!(version_of(&supply, "gymnasium").as_deref(), Some("1.0.0"));
    // The page compares digests: what the host has under the same address must come from there.
    let wheel = |name: &str| format!("{PYODIDE}{name}");
    assert!(!urls(&supply).contains(&&*wheel("micropip-0.6.0-py3-none-any.whl")));
    assert!(urls(&supply).contains(&&*wheel("gymnasium-1.0.0-py3-none-any.whl")));
    assert!(urls(&supply).contains(&&*wheel("pyodide.asm.wasm")));
}

#[tokio::test]
async fn what_another_python_was_built_for_is_not_lent() {
    let (_folder, _, supply) = with_list_of(&pyodide_host("2025_0").await).await;
    assert_eq!(version_of(&supply, "gymnasium"), None);
}

/// Asks pip, as setup does.
#[tokio::test]
async fn packages_are_resolved_for_what_a_public_host_serves() {
    let (_folder, home, mut supply) = with_list_of(&pyodide_host("2024_0").await).await;
    let question = |packages| Question {
        addresses: &[],
        packages,
        without: &[],
    };
    let packages = ["cogrid==0.1.2".to_owned()];
    // It wants numpy 1.26.4, which no registry has for Pyodide.
    let lacking = provision::further(&home, &mut supply, &question(&packages));
    assert_eq!(lacking.expect("asked"), Vec::<String>::new());
    assert_eq!(version_of(&supply, "cogrid").as_deref(), Some("0.1.2"));
    assert_eq!(version_of(&supply, "numpy").as_deref(), Some("1.26.4"));
}

/// Asks npm and pip, as setup does.
#[test]
fn what_the_lock_does_not_have_is_got_locked_and_found_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (home, at_hand) = fresh_home(folder.path());
    let ua = "https://cdn.jsdelivr.net/npm/ua-parser-js@1.0.37/src/ua-parser.min.js";
    let font = "https://fonts.googleapis.com/css2?family=Press+Start+2P";
    let nowhere = "https://cdn.example.org/a.js";
    let addresses = [ua, font, nowhere].map(str::to_owned);
    let packages = ["pettingzoo==1.24.3".to_owned()];
    let question = Question {
        addresses: &addresses,
        packages: &packages,
        without: &[],
    };
    let mut supply = at_hand.clone();
    let lacking = provision::further(&home, &mut supply, &question).expect("got");
    assert_eq!(lacking.len(), 1);
    assert!(lacking[0].starts_with(nowhere), "{lacking:?}");
    assert!(urls(&supply).contains(&ua) && urls(&supply).contains(&font));
    let woff = "https://fonts.gstatic.com/s/by-rule/press-start-2p-";
    assert!(urls(&supply).iter().any(|url| url.starts_with(woff)));
    assert_eq!(version_of(&supply, "pettingzoo").as_deref(), Some("1.24.3"));
    // What it needs was at hand, and stays.
    assert_eq!(version_of(&supply, "gymnasium").as_deref(), Some("1.0.0"));

    // Later calls compare, and mend from the registry what is no longer whole.
    let file = supply.assets.iter().find(|asset| asset.url == ua);
    let file = file.expect("it is there").path.clone();
    let before = std::fs::read(&file).expect("a file");
    let asked_pip = || {
        let log = std::fs::read_to_string(folder.path().join("logs/assets.log"));
        log.expect("a log").matches(" pip download").count()
    };
    let resolutions = asked_pip();
    std::fs::write(&file, "damaged").expect("written");
    let mut again = at_hand;
    provision::further(&home, &mut again, &question).expect("found");
    assert_eq!(urls(&again), urls(&supply));
    assert_eq!(again.list, supply.list);
    assert!(std::fs::read(&file).expect("a file") == before);
    assert_eq!(asked_pip(), resolutions, "what was resolved stays so");
}

/// Asks pip, as setup does, and tries in Pyodide under Node.
#[test]
fn a_version_that_pyodide_cannot_import_gives_way_unless_it_is_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let (home, at_hand) = fresh_home(folder.path());
    let ask = |wanted: &str| {
        let packages = [wanted.to_owned()];
        let question = Question {
            addresses: &[],
            packages: &packages,
            without: &[],
        };
        let mut supply = at_hand.clone();
        let lacking = provision::further(&home, &mut supply, &question).expect("asked");
        (lacking, version_of(&supply, "gymnasium"))
    };
    // gymnasium 1.4.0 needs a part of multiprocessing that Pyodide does not have.
    assert_eq!(
        ask("gymnasium>=1.3,<=1.4.0"),
        (Vec::new(), Some("1.3.0".to_owned()))
    );
    let (lacking, _) = ask("gymnasium==1.4.0");
    assert_eq!(lacking.len(), 1);
    let why = "gymnasium==1.4.0 in the browser: it cannot be imported in Pyodide 0.26.2";
    assert!(lacking[0].contains(why), "{lacking:?}");
    assert!(lacking[0].contains("_multiprocessing"), "{lacking:?}");
}
