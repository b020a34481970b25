//! What a spec needs of an experiment that is not its own.

use super::model::Experiment;

impl Experiment {
    /// Why an experiment that was found cannot be asked what a spec asks of this one; nothing if it can.
    ///
    /// What shows only on the way (how many games there are, what comes after them) is not looked at, nor
    /// what a run takes as it finds it (how long an episode is, how long the client waits).
    #[must_use]
    pub fn not_met_by(&self, found: &Experiment) -> Option<String> {
        let usual = Experiment::default();
        let needs = [
            (
                self.episodes > found.episodes && self.episodes > usual.episodes,
                format!(
                    "needs {} episodes in a game, this one has {}",
                    self.episodes, found.episodes
                ),
            ),
            (
                self.load_ms > 0,
                "needs an environment that loads slowly, and nobody can tell this one to"
                    .to_owned(),
            ),
            (
                self.restart_pyodide && !found.restart_pyodide,
                "needs games that start the Python runtime anew, this one's do not".to_owned(),
            ),
            (
                self.pause_on_partner_background && !found.pause_on_partner_background,
                "needs games that pause while the partner is away, this one's do not".to_owned(),
            ),
            (
                self.monitoring && !found.monitoring,
                "needs games that monitor their players, this one's do not".to_owned(),
            ),
        ];
        let mut unmet = needs.into_iter().filter(|(unmet, _)| *unmet);
        unmet.next().map(|(_, need)| format!("the spec {need}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spec_sets_and_an_experiment_has_not_is_named() {
        let found = Experiment {
            episodes: 2,
            ..Experiment::default()
        };
        let asked = |change: fn(&mut Experiment)| {
            let mut asked = Experiment::default();
            change(&mut asked);
            asked.not_met_by(&found)
        };
        assert_eq!(asked(|_| ()), None);
        assert_eq!(asked(|one| one.episodes = 2), None);
        assert_eq!(asked(|one| one.steps = 4000), None);
        type Change = fn(&mut Experiment);
        let unmet: [(Change, &str); 5] = [
            (
                |one| one.episodes = 3,
                "needs 3 episodes in a game, this one has 2",
            ),
            (|one| one.load_ms = 1, "loads slowly"),
            (|one| one.restart_pyodide = true, "Python runtime anew"),
            (|one| one.pause_on_partner_background = true, "pause"),
            (|one| one.monitoring = true, "monitor"),
        ];
        for (change, why) in unmet {
            let said = asked(change).expect(why);
            assert!(said.contains(why), "{said}");
        }
    }
}
