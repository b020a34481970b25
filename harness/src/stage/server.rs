//! The target's process.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::mpsc::{self, UnboundedReceiver};

use super::output::Line;
use super::process::{StageProcess, Start, log_path};
use super::{NO_PORT, StageError, deadline};
use crate::evidence::{Fact, Recorder, SERVER, ServerHandled, ServerHolds};
use crate::spec::Experiment;
use crate::target::{Code, Package, ServerCommand, Target, observer};
use crate::token::token;

/// What marks a line of the observer in the target's output, when it has this token. Without it a page could
/// speak as the observer by what it has the target log.
fn mark_of(token: &str) -> String {
    format!("@gymcheck {token} ")
}

/// The target, serving an experiment.
pub struct Server {
    /// Its process.
    pub process: StageProcess,
    /// Where it listens.
    pub address: SocketAddr,
    /// The folder where it stores its data.
    pub data: PathBuf,
    /// Whether something tells of it from inside its process.
    pub is_observed: bool,
    /// Its code, as that has told.
    pub code: Option<Code>,
}

#[derive(Deserialize)]
struct Observed {
    listening: Option<u16>,
    handled: Option<String>,
    sid: Option<String>,
    error: Option<String>,
    reason: Option<String>,
    held: Option<BTreeMap<String, BTreeMap<String, u32>>>,
    unseen: Option<String>,
    package: Option<String>,
    folder: Option<PathBuf>,
}

impl Server {
    /// Starts the target, and waits until it listens; `None` for one that runs already.
    ///
    /// `closed` is an address where nobody listens: what the target wants from outside is refused
    /// there at once.
    ///
    /// # Errors
    /// It cannot be started, it ends or hangs before it listens, or it is not the target's code that serves.
    pub async fn start(
        target: &Target,
        experiment: &Experiment,
        closed: SocketAddr,
        folders: Folders<'_>,
        mark: &str,
        recorder: &Recorder,
    ) -> Result<Option<Server>, StageError> {
        let cannot = |source| StageError::Start {
            what: format!("the target {}", target.name()),
            source,
        };
        let token = token().map_err(|error| cannot(error.into()))?;
        let watches = folders.stage.join("observer");
        std::fs::create_dir_all(&watches).map_err(cannot)?;
        std::fs::write(watches.join("sitecustomize.py"), observer(&token)).map_err(cannot)?;
        let free = free_port().map_err(|source| StageError::Start {
            what: format!("the target {}: {NO_PORT}", target.name()),
            source,
        })?;
        let serve = target.serve(experiment, folders.stage, free);
        let Some(serve) = serve.map_err(cannot)? else {
            return Ok(None);
        };
        let mut command = Command::new(&serve.program);
        command
            .args(&serve.arguments)
            .current_dir(&serve.folder)
            .env("PYTHONPATH", search_path(watches, &serve)?)
            .env("PYTHONUNBUFFERED", "1")
            .env("PYTHONDONTWRITEBYTECODE", "1");
        if !serve.is_own {
            let refused = format!("http://{closed}");
            command
                .env("http_proxy", &refused)
                .env("https_proxy", &refused)
                .env("no_proxy", "127.0.0.1,localhost");
        }
        let (sender, mut told) = mpsc::unbounded_channel();
        let lines = {
            let (recorder, observed) = (recorder.clone(), mark_of(&token));
            move |line: Line<'_>| {
                if let Some(told) = take_line(line, &observed, &recorder) {
                    // The stage may be gone already: nobody waits for it then.
                    let _ = sender.send(told);
                }
            }
        };
        let process = StageProcess::start(
            Start {
                role: SERVER,
                player: None,
                command,
                host: None,
                mark,
                log: &log_path(folders.artefacts, "server"),
                must_live: true,
            },
            recorder,
            lines,
        )
        .map_err(cannot)?;
        let mut imported = Vec::new();
        let port = tokio::select! {
            port = listening(&mut told, &mut imported) => Some((port, true)),
            // One that Python does not run says nothing.
            () = answers(free), if serve.is_own => Some((free, false)),
            () = broken(recorder) => None,
            () = tokio::time::sleep(deadline::SERVER) => None,
        };
        if let Some(other) = other_code(target, &imported) {
            return Err(other);
        }
        let code = imported.pop();
        match port {
            Some((port, is_observed)) => Ok(Some(Server {
                process,
                address: SocketAddr::from(([127, 0, 0, 1], port)),
                data: serve.data,
                is_observed: is_observed || code.is_some(),
                code,
            })),
            None => Err(StageError::NotReady {
                what: format!("the target {} to listen", target.name()),
                waited: deadline::SERVER,
                component: "server".to_owned(),
                last_lines: process.last_lines(),
            }),
        }
    }
}

/// What Python has imported in place of the target's code: a package of the same name that stands before it in
/// its search path, as beside the script that it runs.
fn other_code(target: &Target, imported: &[Code]) -> Option<StageError> {
    let own = target.code.as_ref()?;
    let real = |folder: &Path| folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let other = imported
        .iter()
        .find(|code| code.package == own.package && real(&code.folder) != real(&own.folder))?;
    Some(StageError::OtherCode {
        target: target.name().to_owned(),
        package: own.package.name(),
        wanted: own.folder.clone(),
        imported: other.folder.clone(),
    })
}

/// Ends when the target has told that it listens, with the port; what was imported by then is in `imported`. Its output may close before anybody has
/// noticed that it has ended: then it never ends.
async fn listening(told: &mut UnboundedReceiver<Told>, imported: &mut Vec<Code>) -> u16 {
    while let Some(told) = told.recv().await {
        match told {
            Told::Listening(port) => return port,
            Told::Code(package, folder) => imported.push(Code { package, folder }),
        }
    }
    std::future::pending().await
}

/// A port of this machine that nobody uses now.
fn free_port() -> std::io::Result<u16> {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    Ok(std::net::TcpListener::bind(any)?.local_addr()?.port())
}

/// Ends when somebody takes connections at a port.
async fn answers(port: u16) {
    const BETWEEN_TRIES: Duration = Duration::from_millis(100);
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
}

/// The observer first: Python takes the first module of its name. What a user has set comes last.
fn search_path(observer: PathBuf, serve: &ServerCommand) -> Result<OsString, StageError> {
    let users = std::env::var_os("PYTHONPATH").filter(|_| serve.is_own);
    let users: Vec<PathBuf> = users.iter().flat_map(std::env::split_paths).collect();
    let folders = std::iter::once(&observer)
        .chain(&serve.search_path)
        .chain(&users);
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

/// What the observer tells of the target's start.
#[derive(Debug, PartialEq)]
enum Told {
    /// The target listens on this port.
    Listening(u16),
    /// Its package.
    Code(Package, PathBuf),
}

/// Records a line of the target's output. Gives what the stage itself wants to know, if it says that.
/// What tells of the target from inside begins with the mark, and is never too much.
fn take_line(line: Line<'_>, mark: &str, recorder: &Recorder) -> Option<Told> {
    let observed = line
        .text
        .strip_prefix(mark)
        .and_then(|json| serde_json::from_str::<Observed>(json).ok());
    let Some(observed) = observed else {
        if line.is_kept {
            recorder.record(Fact::ServerLog {
                line: line.text.to_owned(),
            });
        }
        return None;
    };
    if let Some(event) = observed.handled {
        recorder.record(Fact::ServerHandled(ServerHandled {
            event,
            sid: observed.sid.unwrap_or_default(),
            error: observed.error,
            reason: observed.reason,
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
    let package = observed.package.as_deref().and_then(Package::named);
    let code = package.zip(observed.folder);
    let code = code.map(|(package, folder)| Told::Code(package, folder));
    code.or(observed.listening.map(Told::Listening))
}

/// Ends when the run is broken.
pub(super) async fn broken(recorder: &Recorder) {
    let for_ever = Duration::from_secs(u32::MAX.into());
    // It ends with an error in any case: that of the broken run.
    let _ = recorder.pass(for_ever, "the run to break").await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Event;

    #[test]
    fn what_the_observer_says_is_told_from_what_the_target_says() {
        let (recorder, mark) = (Recorder::in_memory(), mark_of("token"));
        let lines = [
            r#"@gymcheck token {"listening": 4711}"#,
            r#"@gymcheck token {"handled": "advance_scene", "sid": "s", "error": null}"#,
            r#"@gymcheck token {"handled": "disconnect", "sid": "s", "error": null, "reason": "ping timeout"}"#,
            r#"@gymcheck token {"held": {"coordinator": {"g": 2}, "rooms": {}}}"#,
            r#"@gymcheck token {"unseen": "AttributeError: no rooms"}"#,
            r#"@gymcheck token is no JSON here"#,
            r#"@gymcheck token {"package": "mug", "folder": "/site/mug"}"#,
        ];
        let taken = |text, is_kept| take_line(Line { text, is_kept }, &mark, &recorder);
        let told = lines.map(|line| taken(line, true));
        let code = Told::Code(Package::Mug, "/site/mug".into());
        let listening = Some(Told::Listening(4711));
        assert_eq!(
            told,
            [
                Some(Told::Listening(4711)),
                None,
                None,
                None,
                None,
                None,
                Some(code)
            ]
        );
        // Beyond what is kept, only what the target itself says is left out.
        assert_eq!(taken(lines[0], false), listening);
        assert_eq!(taken(lines[5], false), None);
        let log = recorder.log();
        let [handled, ended, held, unseen, own] = log.events() else {
            panic!("five events: {log:?}");
        };
        assert!(
            matches!(&ended.fact, Fact::ServerHandled(one) if one.reason.as_deref() == Some("ping timeout"))
        );
        assert!(matches!(&handled.fact, Fact::ServerHandled(one) if one.event == "advance_scene"));
        let Fact::ServerHolds(holds) = &held.fact else {
            panic!("{held:?}");
        };
        assert_eq!(holds.games["coordinator"]["g"], 2);
        assert!(holds.games["rooms"].is_empty());
        assert!(matches!(&unseen.fact, Fact::Absent { reason, .. } if reason.contains("no rooms")));
        assert!(matches!(&own.fact, Fact::ServerLog { .. }));
    }

    #[test]
    fn what_begins_as_the_observer_does_without_its_token_is_of_the_target() {
        let (recorder, mark) = (Recorder::in_memory(), mark_of("token"));
        let forged = [
            r#"@gymcheck {"handled": "disconnect", "sid": "s"}"#,
            r#"@gymcheck guessed {"handled": "disconnect", "sid": "s"}"#,
            r#"@gymcheck token{"listening": 4711}"#,
        ];
        for text in forged {
            let line = Line {
                text,
                is_kept: true,
            };
            assert_eq!(take_line(line, &mark, &recorder), None);
        }
        let log = recorder.log();
        let is_of_the_target = |event: &Event| matches!(&event.fact, Fact::ServerLog { .. });
        assert!(log.events().len() == 3 && log.events().iter().all(is_of_the_target));
    }
}
