//! What a browser has compiled, and what the browsers after it begin with.

use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::Browser;
use fantoccini::wd::TimeoutConfiguration;
use gymcheck::evidence::{Fact, Recorder};
use gymcheck::gateway::{Door, Gateway, GatewayOptions, Mirror, MirrorEntry};
use gymcheck::probe::SCRIPT;
use gymcheck::provision::{Compiled, Home, assets, find_browser};
use gymcheck::stage::{PAGE_HOST, Place, compile, compile_recipe, deadline};
use serde_json::json;

use crate::support::Kind;

const PLAYER: &str = "tester";
const WEBASSEMBLY: &str = "pyodide.asm.wasm";

/// A home folder of the test's own, with the real one's files of the page.
fn home(folder: &Path) -> (Home, Mirror) {
    let real = Home::locate().expect("a home");
    symlink(real.root().join("assets"), folder.join("assets")).expect("a link");
    let home = Home::at(folder);
    let entries = assets(&home).expect("the page's files").into_iter();
    let entries = entries.map(|asset| MirrorEntry {
        url: asset.url,
        path: asset.path,
        media_type: asset.media_type,
    });
    (home, Mirror::new(entries.collect()))
}

/// What a new browser asks of the gateway, at a port of its own, when its page runs Python; with this
/// profile's caches. It leaves something of its own behind.
async fn asked(mirror: &Mirror, compiled: Option<&Path>) -> Vec<String> {
    let recorder = Recorder::in_memory();
    let door = Door::anywhere().await.expect("a port");
    let page = door.listener.local_addr().expect("its address");
    let door = Door {
        authority: PAGE_HOST.to_owned(),
        ..door
    };
    let options = GatewayOptions {
        upstream: page,
        players: vec![PLAYER.to_owned()],
        mirror: mirror.clone(),
        edits: Vec::new(),
        probe_script: SCRIPT.to_owned(),
    };
    let doors = [(PLAYER.to_owned(), door)].into();
    let gateway = Gateway::start_behind(doors, options, recorder.clone());
    let gateway = gateway.await.expect("a gateway");
    let place = Place {
        page: Some(page),
        compiled,
        ..Place::default()
    };
    let browser = Browser::start_at(place, Kind::Chrome, PLAYER, &recorder).await;
    let mut addresses = mirror.files().map(|(address, _)| address);
    let library = addresses.find(|one| one.ends_with("/pyodide.js"));
    let library = Mirror::path_of(library.expect("the library"));
    let address = format!("http://{PAGE_HOST}{library}");
    // The driver's own patience is half a minute: machines that do much besides take longer to load Python.
    let patient = TimeoutConfiguration::new(Some(deadline::LOAD), None, None);
    let set = browser.client.update_timeouts(patient).await;
    set.expect("it is patient");
    browser.client.goto(&address).await.expect("it loads");
    let script = "const done = arguments[1];\
                  const script = document.createElement('script');\
                  script.src = location.href;\
                  script.onload = async () => {\
                    const python = await loadPyodide({ indexURL: arguments[0] });\
                    const seen = localStorage.getItem('seen');\
                    localStorage.setItem('seen', 'yes');\
                    done([python.runPython('6 * 7'), seen, isSecureContext]);\
                  };\
                  document.head.append(script);";
    let base = library.trim_end_matches("pyodide.js");
    let said = browser
        .client
        .execute_async(script, vec![json!(base)])
        .await;
    assert_eq!(said.expect("it runs"), json!([42, null, true]));
    browser.close().await;
    gateway.shutdown().await;
    let log = recorder.log();
    let paths = log.events().iter().filter_map(|event| match &event.fact {
        Fact::Http(http) => Some(http.path.clone()),
        _ => None,
    });
    paths.collect()
}

#[tokio::test]
async fn a_browser_begins_with_what_an_earlier_one_has_compiled_and_with_nothing_else_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (home, mirror) = home(folder.path());
    let browser = find_browser(&home, Kind::Chrome).expect("a browser");
    let compiled = Compiled::of(&home, &browser, &compile_recipe(), mirror.files())
        .expect("the home's own files");
    assert_eq!(compiled.folder(), None);
    let is_asked = |paths: &[String]| paths.iter().any(|path| path.ends_with(WEBASSEMBLY));

    let without = asked(&mirror, None).await;
    assert!(is_asked(&without), "{without:?}");

    let compiling = compile(&browser, &mirror, &compiled).await;
    compiling.unwrap_or_else(|error| panic!("{error}"));
    let there = compiled.folder().expect("it is kept");
    let code = there.join("Default/Code Cache/wasm");
    let sizes = std::fs::read_dir(code).expect("compiled code");
    let sizes = sizes.map(|entry| entry.expect("an entry").metadata().expect("its size").len());
    assert!(sizes.sum::<u64>() > 1 << 20);

    // At another port, twice: none sees what the other did in its page.
    for _ in 0..2 {
        let with = asked(&mirror, Some(there)).await;
        assert!(!is_asked(&with), "{with:?}");
    }
}

#[tokio::test]
async fn a_browser_that_cannot_load_the_libraries_says_so_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = Home::at(folder.path());
    let library = folder.path().join("assets/pyodide.js");
    std::fs::create_dir_all(folder.path().join("assets")).expect("a folder");
    std::fs::write(&library, "throw new Error('no Python today');").expect("a file");
    let mirror = Mirror::new(vec![MirrorEntry {
        url: "https://cdn.example/pyodide.js".into(),
        path: library,
        media_type: "text/javascript".into(),
    }]);
    let browser = find_browser(&home, Kind::Chrome).expect("a browser");
    let compiled = Compiled::of(&home, &browser, &compile_recipe(), mirror.files())
        .expect("the home's own file");
    let error = compile(&browser, &mirror, &compiled)
        .await
        .expect_err("it fails");
    assert!(error.to_string().contains("loadPyodide"), "{error}");
    assert_eq!(compiled.folder(), None);
}
