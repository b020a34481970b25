//! The target's process.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;
use tokio::sync::mpsc;

use super::process::{StageProcess, Start, log_path};
use super::{StageError, deadline};
use crate::evidence::{Fact, Recorder, ServerHandled, ServerHolds};
use crate::spec::Experiment;
use crate::target::{OBSERVER, ServerCommand, Target};

/// What marks a line of the observer in the target's output.
const OBSERVED: &str = "@gymcheck ";

/// The target, serving an experiment.
pub struct Server {
    /// Its process.
    pub process: StageProcess,
    /// Where it listens.
    pub address: SocketAddr,
}

#[derive(Deserialize)]
struct Observed {
    listening: Option<u16>,
    handled: Option<String>,
    sid: Option<String>,
    error: Option<String>,
    held: Option<BTreeMap<String, BTreeMap<String, u32>>>,
    unseen: Option<String>,
}

impl Server {
    /// Starts the target in the stage's folder, and waits until it listens.
    ///
    /// `closed` is an address where nobody listens: what the target wants from outside is refused
    /// there at once.
    ///
    /// # Errors
    /// It cannot be started, or it ends or hangs before it listens.
    pub async fn start(
        target: &Target,
        experiment: &Experiment,
        closed: SocketAddr,
        folders: Folders<'_>,
        mark: &str,
        recorder: &Recorder,
    ) -> Result<Server, StageError> {
        let cannot = |source| StageError::Start {
            what: format!("the target {}", target.name()),
            source,
        };
        let observer = folders.stage.join("observer");
        std::fs::create_dir_all(&observer).map_err(cannot)?;
        std::fs::write(observer.join("sitecustomize.py"), OBSERVER).map_err(cannot)?;
        let serve = target.serve(experiment, folders.stage).map_err(cannot)?;
        let refused = format!("http://{closed}");
        let mut command = Command::new(&serve.program);
        command
            .args(&serve.arguments)
            .current_dir(folders.stage)
            .env("PYTHONPATH", search_path(observer, &serve)?)
            .env("PYTHONUNBUFFERED", "1")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("http_proxy", &refused)
            .env("https_proxy", &refused)
            .env("no_proxy", "127.0.0.1,localhost");
        let (sender, mut listening) = mpsc::unbounded_channel();
        let lines = {
            let recorder = recorder.clone();
            move |line: &str| {
                if let Some(port) = take_line(line, &recorder) {
                    // The stage may be gone already: nobody waits for the port then.
                    let _ = sender.send(port);
                }
            }
        };
        let process = StageProcess::start(
            Start {
                role: "server",
                player: None,
                command,
                mark,
                log: &log_path(folders.artefacts, "server"),
                must_live: true,
            },
            recorder,
            lines,
        )
        .map_err(cannot)?;
        let port = tokio::select! {
            // Its output may close before anybody has noticed that it has ended: that is told by `broken`.
            Some(port) = listening.recv() => Some(port),
            () = broken(recorder) => None,
            () = tokio::time::sleep(deadline::SERVER) => None,
        };
        match port {
            Some(port) => Ok(Server {
                process,
                address: SocketAddr::from(([127, 0, 0, 1], port)),
            }),
            None => Err(StageError::NotReady {
                what: format!("the target {} to listen", target.name()),
                waited: deadline::SERVER,
                component: "server".to_owned(),
                last_lines: process.last_lines(),
            }),
        }
    }
}

/// The observer first: Python takes the first module of its name.
fn search_path(observer: PathBuf, serve: &ServerCommand) -> Result<OsString, StageError> {
    let folders = std::iter::once(&observer).chain(&serve.search_path);
    std::env::join_paths(folders).map_err(|source| StageError::Start {
        what: "the target: its folder has a colon in its path, which Python's search path cannot \
               say; move the checkout"
            .to_owned(),
        source: std::io::Error::other(source),
    })
}

/// The folders that a process of the stage works with.
#[derive(Clone, Copy)]
pub struct Folders<'a> {
    /// The stage's own, gone with it.
    pub stage: &'a Path,
    /// The run's artefacts, which stay.
    pub artefacts: &'a Path,
}

/// Records a line of the target's output. Gives the port, if this is where it says it.
fn take_line(line: &str, recorder: &Recorder) -> Option<u16> {
    let observed = line
        .strip_prefix(OBSERVED)
        .and_then(|json| serde_json::from_str::<Observed>(json).ok());
    let Some(observed) = observed else {
        recorder.record(Fact::ServerLog {
            line: line.to_owned(),
        });
        return None;
    };
    if let Some(event) = observed.handled {
        recorder.record(Fact::ServerHandled(ServerHandled {
            event,
            sid: observed.sid.unwrap_or_default(),
            error: observed.error,
        }));
    }
    if let Some(games) = observed.held {
        recorder.record(Fact::ServerHolds(ServerHolds { games }));
    }
    if let Some(reason) = observed.unseen {
        recorder.record(Fact::Absent {
            oracle: "what the target holds".to_owned(),
            reason,
        });
    }
    observed.listening
}

/// Ends when the run is broken.
pub(super) async fn broken(recorder: &Recorder) {
    let for_ever = Duration::from_secs(u32::MAX.into());
    // It ends with an error in any case: that of the broken run.
    let _ = recorder
        .wait(0, for_ever, "the run to break", |_| false)
        .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_observer_says_is_told_from_what_the_target_says() {
        let recorder = Recorder::in_memory();
        let lines = [
            r#"@gymcheck {"listening": 4711}"#,
            r#"@gymcheck {"handled": "advance_scene", "sid": "s", "error": null}"#,
            r#"@gymcheck {"held": {"coordinator": {"g": 2}, "rooms": {}}}"#,
            r#"@gymcheck {"unseen": "AttributeError: no rooms"}"#,
            r#"@gymcheck is no JSON here"#,
        ];
        let ports: Vec<Option<u16>> = lines.map(|line| take_line(line, &recorder)).to_vec();
        assert_eq!(ports, [Some(4711), None, None, None, None]);
        let log = recorder.log();
        let [handled, held, unseen, own] = log.events() else {
            panic!("four events: {log:?}");
        };
        assert!(matches!(&handled.fact, Fact::ServerHandled(one) if one.event == "advance_scene"));
        let Fact::ServerHolds(holds) = &held.fact else {
            panic!("{held:?}");
        };
        assert_eq!(holds.games["coordinator"]["g"], 2);
        assert!(holds.games["rooms"].is_empty());
        assert!(matches!(&unseen.fact, Fact::Absent { reason, .. } if reason.contains("no rooms")));
        assert!(matches!(&own.fact, Fact::ServerLog { .. }));
    }
}
