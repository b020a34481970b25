//! A first look at a target, before any browser starts: does it serve a page, and what will that
//! page ask of public hosts?

use std::path::Path;

use super::server::{Folders, Server};
use super::{Ground, StageError, deadline};
use crate::evidence::Recorder;
use crate::gateway::{self, Preview};
use crate::spec::Experiment;
use crate::target::Target;

/// Starts the target with the experiment, looks at its page, and ends it again. Its log goes to
/// the folder `artefacts`.
///
/// # Errors
/// The target cannot be started, ends by itself, or serves no page; with its last words.
pub async fn preview(
    target: &Target,
    experiment: &Experiment,
    artefacts: &Path,
) -> Result<Preview, StageError> {
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
) -> Result<Preview, StageError> {
    let folders = Folders {
        stage: ground.folder.path(),
        artefacts,
    };
    let mark = ground.folder.mark();
    let mut server =
        Server::start(target, experiment, ground.closed, folders, mark, recorder).await?;
    let looked = tokio::time::timeout(deadline::REACTION, gateway::preview(server.address)).await;
    server.process.may_end();
    server.process.end().await;
    // What it said last may have been on its way until now.
    let last_lines = server.process.last_lines();
    match looked {
        Ok(Ok(preview)) => Ok(preview),
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
