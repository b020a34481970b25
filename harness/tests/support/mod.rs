//! Real browsers for tests, started as the stage starts them. All of it ends with the [`Browser`],
//! also when its test panics.

#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "each test uses a part of it"
)]

pub(crate) mod following;
pub(crate) mod page;
pub(crate) mod processes;
pub(crate) mod target;
pub(crate) mod turns;

use fantoccini::Client;
use gymcheck::evidence::Recorder;
use gymcheck::provision::{Home, find_browser};
use gymcheck::stage::{BrowserSession, Folders, Host, Place};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) use gymcheck::spec::BrowserKind as Kind;

/// Makes a test for each browser of each scenario.
macro_rules! scenarios {
    ($($scenario:ident)*) => {
        mod chromium {
            $(#[tokio::test] async fn $scenario() { super::$scenario(super::Kind::Chrome).await })*
        }
        mod firefox {
            $(#[tokio::test] async fn $scenario() { super::$scenario(super::Kind::Firefox).await })*
        }
    };
}
pub(crate) use scenarios;

/// A browser under WebDriver.
pub(crate) struct Browser {
    pub(crate) client: Client,
    session: BrowserSession,
    folder: TempDir,
}

impl Browser {
    pub(crate) async fn start(kind: Kind) -> Browser {
        Browser::start_for(kind, "tester", &Recorder::in_memory()).await
    }

    /// A player's browser, whose evidence goes to a recorder.
    pub(crate) async fn start_for(kind: Kind, player: &str, recorder: &Recorder) -> Browser {
        Browser::start_on(None, kind, player, recorder).await
    }

    /// The same on a host of the player's own.
    pub(crate) async fn start_on(
        host: Option<&Host>,
        kind: Kind,
        player: &str,
        recorder: &Recorder,
    ) -> Browser {
        let place = Place {
            host,
            ..Place::default()
        };
        Browser::start_at(place, kind, player, recorder).await
    }

    /// The same at a place.
    pub(crate) async fn start_at(
        place: Place<'_>,
        kind: Kind,
        player: &str,
        recorder: &Recorder,
    ) -> Browser {
        let home = Home::locate().expect("a home");
        let found = find_browser(&home, kind).expect("a browser");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mark = folder.path().to_string_lossy().into_owned();
        let folders = Folders {
            stage: folder.path(),
            artefacts: folder.path(),
        };
        let session = BrowserSession::start(place, &found, player, false, folders, &mark, recorder);
        let session = session
            .await
            .unwrap_or_else(|error| panic!("{kind} does not start: {error}"));
        Browser {
            client: session.client.clone(),
            session,
            folder,
        }
    }

    pub(crate) fn session(&self) -> &BrowserSession {
        &self.session
    }

    pub(crate) fn session_mut(&mut self) -> &mut BrowserSession {
        &mut self.session
    }

    /// What its driver has said so far.
    pub(crate) fn driver_said(&self) -> String {
        let log = self.folder.path().join("driver-tester.log");
        std::fs::read_to_string(log).expect("the driver's log")
    }

    /// The value that a script returns. It runs as a script of the page itself: Firefox would give
    /// it a scope of its own, without what the page's scripts declare.
    pub(crate) async fn run(&self, script: &str) -> Value {
        let function = format!("(() => {{ {script}\n }})()");
        self.client
            .execute("return window.eval(arguments[0])", vec![function.into()])
            .await
            .unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Ends the browser, and then its folder.
    pub(crate) async fn close(self) {
        let Browser {
            mut session,
            folder,
            ..
        } = self;
        session.end().await;
        drop(folder);
    }
}
