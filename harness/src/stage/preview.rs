//! A first look at a target, before any browser starts: does it serve a page, and what will that
//! page ask of public hosts?

use std::path::Path;

use super::server::{Folders, Server};
use super::{Ground, StageError, deadline};
use crate::evidence::Recorder;
use crate::gateway::{self, Preview};
use crate::spec::Experiment;
use crate::target::{Code, Target};

/// What a first look at a target has shown.
pub struct FirstLook {
    /// What its page will ask of public hosts.
    pub preview: Preview,
    /// Whether something tells of it from inside its process.
    pub is_observed: bool,
    /// Its code, as that has told.
    pub code: Option<Code>,
}

/// Starts the target with the experiment, looks at its page, and ends it again; one that runs already is
/// only looked at. Its log goes to the folder `artefacts`.
///
/// # Errors
/// The target cannot be started, ends by itself, or serves no page; with its last words.
pub async fn preview(
    target: &Target,
    experiment: &Experiment,
    artefacts: &Path,
) -> Result<FirstLook, StageError> {
    let ground = Ground::lay(false)?;
    let recorder = Recorder::in_memory();
    let looked = look(target, experiment, artefacts, &ground, &recorder).await;
    ground.clear().await;
    // That it ended is the better explanation, whoever noticed first.
    match (looked, recorder.broken()) {
        (Err(_), Some(broken)) => Err(StageError::Ended {
            reason: format!("the target {}: {}", target.name(), broken.reason),
            last_lines: broken.last_lines,
        }),
        (looked, _) => looked,
    }
}

async fn look(
    target: &Target,
    experiment: &Experiment,
    artefacts: &Path,
    ground: &Ground,
    recorder: &Recorder,
) -> Result<FirstLook, StageError> {
    let folders = Folders {
        stage: ground.folder.path(),
        artefacts,
    };
    let mark = ground.folder.mark();
    let server = Server::start(target, experiment, ground.closed, folders, mark, recorder).await?;
    let address = server.as_ref().map(|server| server.address);
    let Some(address) = address.or(target.running()) else {
        return Err(StageError::Start {
            what: format!("the target {}", target.name()),
            source: std::io::ErrorKind::Unsupported.into(),
        });
    };
    let looked = tokio::time::timeout(deadline::REACTION, gateway::preview(address)).await;
    let (is_observed, code, last_lines) = match server {
        Some(mut server) => {
            server.process.may_end();
            server.process.end().await;
            // What it said last may have been on its way until now.
            (server.is_observed, server.code, server.process.last_lines())
        }
        None => (false, None, Vec::new()),
    };
    match looked {
        Ok(Ok(preview)) => Ok(FirstLook {
            preview,
            is_observed,
            code,
        }),
        Ok(Err(source)) => Err(StageError::Preview {
            target: target.name().to_owned(),
            source,
            last_lines,
        }),
        Err(_) => Err(StageError::NotReady {
            what: format!("the target {} to say what its page needs", target.name()),
            waited: deadline::REACTION,
            component: "server".to_owned(),
            last_lines,
        }),
    }
}
