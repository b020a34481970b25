//! Pictures for whoever looks at a run afterwards: no check asks for them.

use std::time::Duration;

use super::scenario::Scenario;
use crate::evidence::{Fact, ScreenshotFact};
use crate::spec::PlayerName;

/// How long a run waits for pictures. Who hangs is left without one.
const PATIENCE: Duration = Duration::from_secs(10);

impl Scenario {
    /// Takes a picture of each page that is in front, all at once. What cannot be had is left out, and
    /// the evidence says so.
    pub(super) async fn pictures(&self, of: &[PlayerName], moment: &str) {
        let in_front = self.in_front();
        let taking = of
            .iter()
            .filter(|name| in_front.contains(name))
            .map(|name| self.picture(*name, moment));
        futures_util::future::join_all(taking).await;
    }

    async fn picture(&self, name: PlayerName, moment: &str) {
        let label = format!("picture/{moment}");
        let taking = tokio::time::timeout(PATIENCE, self.player(name).screenshot());
        let missing = match taking.await {
            Ok(Ok(image)) => match self.keep_screenshot(name, &label, &image) {
                Ok(_) => return,
                Err(error) => error.to_string(),
            },
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("it took longer than {PATIENCE:?}"),
        };
        self.recorder.record_for(
            name.as_str(),
            Fact::Absent {
                oracle: label,
                reason: missing,
            },
        );
    }

    /// Writes a screenshot into the run's folder, and notes it. Gives the file.
    pub(super) fn keep_screenshot(
        &self,
        name: PlayerName,
        label: &str,
        image: &[u8],
    ) -> std::io::Result<std::path::PathBuf> {
        let file_name = format!("{name}-{}.png", label.replace(['/', ' '], "-"));
        let file = self.artefacts.join(&file_name);
        std::fs::write(&file, image)?;
        self.recorder.record_for(
            name.as_str(),
            Fact::Screenshot(ScreenshotFact {
                label: label.to_owned(),
                file: file_name,
            }),
        );
        Ok(file)
    }
}
