//! Having a browser compile the page's libraries, for all browsers that come after it.

use std::path::Path;
use std::time::Duration;

use fantoccini::error::CmdError;
use fantoccini::wd::TimeoutConfiguration;
use serde_json::json;
use walkdir::WalkDir;

use super::browser::profile;
use super::{BrowserSession, Folders, Ground, PAGE_HOST, Place, StageError, deadline, named_door};
use crate::evidence::Recorder;
use crate::gateway::{Gateway, GatewayOptions, Mirror};
use crate::probe;
use crate::provision::{Browser, Compiled};

/// Loads Python and all that is installed into it, and lets it work: what works much is compiled well.
const SCRIPT: &str = include_str!("compile.js");

/// How often the page is visited: Chromium keeps what it has compiled of a script that it has seen before.
const VISITS: usize = 2;

/// How the address of a script ends.
const SCRIPT_END: &str = ".js";

/// The library that is worth it.
const PYODIDE: &str = "/pyodide.js";

/// Who the browser is to the gateway.
const PLAYER: &str = "compiler";

/// Where Chromium keeps what it has compiled, in its profile.
const WRITTEN: &str = "Default/Code Cache/wasm";

/// How often is looked whether it has written that, and for how many looks nothing may come.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);
const QUIET_LOOKS: u32 = 4;

/// How caches are made here: those that were made otherwise, by another gymcheck, are of no use.
#[must_use]
pub fn compile_recipe() -> String {
    format!("{VISITS} visits with {SCRIPT}")
}

/// Has a browser get and compile the libraries that a mirror has, and keeps its caches. Nothing is kept where
/// there is no Python among them.
///
/// # Errors
/// The browser cannot be started, the libraries do not load, or the caches cannot be kept.
pub async fn compile(
    browser: &Browser,
    mirror: &Mirror,
    compiled: &Compiled,
) -> Result<(), StageError> {
    let libraries = mirror.files().map(|(address, _)| address.to_owned());
    let Some(address) = libraries.into_iter().find(|one| one.ends_with(PYODIDE)) else {
        return Ok(());
    };
    let ground = Ground::lay(false)?;
    let recorder = Recorder::in_memory();
    let profile = profile(&ground.folder.path().join(PLAYER));
    let had = have_compiled(browser, mirror, &address, &ground, &recorder, &profile).await;
    let kept = had.and_then(|()| {
        let kept = compiled.keep(&profile);
        kept.map_err(|error| failed(browser, error.to_string()))
    });
    ground.clear().await;
    kept
}

async fn have_compiled(
    browser: &Browser,
    mirror: &Mirror,
    address: &str,
    ground: &Ground,
    recorder: &Recorder,
    profile: &Path,
) -> Result<(), StageError> {
    let (door, page) = named_door().await?;
    let gateway = Gateway::start_behind(
        [(PLAYER.to_owned(), door)].into(),
        GatewayOptions {
            // Nothing is asked of a target.
            upstream: ground.closed,
            players: vec![PLAYER.to_owned()],
            mirror: mirror.clone(),
            edits: Vec::new(),
            probe_script: probe::SCRIPT.to_owned(),
        },
        recorder.clone(),
    )
    .await?;
    let folders = Folders {
        stage: ground.folder.path(),
        artefacts: ground.folder.path(),
    };
    let place = Place {
        page: Some(page),
        ..Place::default()
    };
    let mark = ground.folder.mark();
    let session = BrowserSession::start(place, browser, PLAYER, false, folders, mark, recorder);
    let mut session = session.await?;
    let page = format!("http://{PAGE_HOST}{}", Mirror::path_of(address));
    let scripts = mirror.files().map(|(address, _)| address);
    let scripts = scripts.filter(|one| one.ends_with(SCRIPT_END) && *one != address);
    let scripts: Vec<String> = scripts.map(Mirror::path_of).collect();
    let worked = tokio::time::timeout(deadline::LOAD, async {
        for _ in 0..VISITS {
            if let Some(error) = work(&session, &page, &scripts).await? {
                return Ok(Some(error));
            }
        }
        Ok::<_, CmdError>(None)
    });
    let worked = match worked.await {
        Ok(Ok(None)) => Ok(()),
        Ok(Ok(Some(error))) => Err(failed(browser, error)),
        Ok(Err(error)) => Err(failed(browser, error.to_string())),
        Err(_) => Err(failed(
            browser,
            format!("it did not end within {} s", deadline::LOAD.as_secs()),
        )),
    };
    let ended = match worked {
        Ok(()) => {
            written(profile).await;
            // What is ended by force may not have written all.
            session.quit().await
        }
        Err(error) => Err(error),
    };
    session.end().await;
    gateway.shutdown().await;
    ended
}

/// Works in a page that is the library itself: it is on the origin where all pages will find it. Gives the
/// page's error, if there is one.
async fn work(
    session: &BrowserSession,
    page: &str,
    scripts: &[String],
) -> Result<Option<String>, CmdError> {
    let client = &session.client;
    let patient = TimeoutConfiguration::new(Some(deadline::LOAD), None, None);
    client.update_timeouts(patient).await?;
    client.goto(page).await?;
    let said = client.execute_async(SCRIPT, vec![json!(scripts)]).await?;
    Ok(said.as_str().map(str::to_owned))
}

/// Waits until a browser writes no more of what it has compiled, or has not for long enough.
async fn written(profile: &Path) {
    let folder = profile.join(WRITTEN);
    let size = || -> u64 {
        let files = WalkDir::new(&folder).into_iter().flatten();
        let files = files.filter_map(|entry| entry.metadata().ok());
        files.map(|found| found.len()).sum()
    };
    let (mut before, mut quiet) = (size(), 0);
    let end = tokio::time::Instant::now() + deadline::DEATH;
    while quiet < QUIET_LOOKS && tokio::time::Instant::now() < end {
        tokio::time::sleep(BETWEEN_LOOKS).await;
        let now = size();
        quiet = if now == before { quiet + 1 } else { 0 };
        before = now;
    }
}

fn failed(browser: &Browser, why: String) -> StageError {
    StageError::Compile {
        browser: browser.program.display().to_string(),
        why,
    }
}
