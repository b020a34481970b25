//! Instants as specs that anybody can run, read and change.

use std::fmt::Write as _;

use super::{Point, Role, Track, Window};
use crate::spec::{GameEvent, Pair, WayToLeave};

/// What a spec of a sweep is made for.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// How, by whom, and on which browsers.
    pub track: &'a Track,
    /// How many games the experiment has.
    pub games: u32,
    /// Whether the sweep has other pairs of browsers, whose specs lie in the same folder.
    pub among_pairs: bool,
}

impl Scene<'_> {
    /// What is said of the browsers in the names of its specs: nothing, where the sweep has no others.
    fn browsers(&self) -> String {
        let Pair { survivor, partner } = self.track.pair;
        match self.among_pairs {
            true => format!("-{survivor}-{partner}"),
            false => String::new(),
        }
    }
}

/// The name of an instant's spec, without its folder: `kill-behind-1-last-episode-ended-250`, or
/// `kill-behind-chrome-firefox-1-last-episode-ended-250` where the sweep has several pairs.
#[must_use]
pub fn file_name(scene: Scene<'_>, point: &Point) -> String {
    let Track { how, role, .. } = scene.track;
    format!(
        "{how}-{role}{}-{}-{}-{:.0}",
        scene.browsers(),
        point.game,
        point.after,
        point.offset_ms
    )
}

/// The name of the spec of the session in which nobody leaves, without its folder: `undisturbed-behind`.
#[must_use]
pub fn undisturbed_name(scene: Scene<'_>) -> String {
    format!("undisturbed-{}{}", scene.track.role, scene.browsers())
}

/// The spec of the session in which nobody leaves.
#[must_use]
pub fn undisturbed_text(scene: Scene<'_>) -> String {
    let mut text = head("Nobody leaves: the session as it is", scene);
    text.push_str(before_start(scene.track.role));
    text.push_str(
        "\n[[steps]]\nwalk = {}\n\n[[steps]]\nobserve = { as = \"at-rest\" }\n\n[[checks]]\nrequirement = \"LIFE-01\"\nask = { scene-order = {} }\n",
    );
    text
}

/// The spec of an instant: the partner leaves there, and the survivor goes on as far as it comes alone.
#[must_use]
pub fn spec_text(scene: Scene<'_>, point: &Point) -> String {
    let Track { how, role, .. } = scene.track;
    let Point {
        game,
        after,
        offset_ms,
    } = point;
    let title = format!(
        "The partner {} {offset_ms:.0} ms after the survivor's {} of game {game}",
        verb(*how),
        words(*after)
    );
    let mut text = head(&title, scene);
    text.push_str(before_start(*role));
    let _ = write!(
        text,
        "
# Until then both go on as participants do.
[[steps]]
leave = {{ player = \"partner\", how = \"{how}\", at = {{ after = \"{after}\", game = {game}, offset-ms = {offset_ms:.0} }} }}

[[steps]]
walk = {{ players = [\"survivor\"], until = \"alone\" }}

[[steps]]
observe = {{ as = \"at-rest\" }}

[[checks]]
requirement = \"RACE-02\"
ask = {{ sound-after-departure = {{ at = \"at-rest\" }} }}

[[checks]]
requirement = \"LIFE-02\"
ask = {{ nothing-left = {{ at = \"at-rest\" }} }}
"
    );
    text
}

/// The same with what the sweep found there.
#[must_use]
pub fn pinned_text(scene: Scene<'_>, point: &Point, window: &Window, target: &str) -> String {
    let mut text = format!(
        "# Found by `gymcheck sweep` on {target}: `{}` fails in a window of {:.0} ms around this instant.\n",
        window.check, window.width_ms
    );
    for (what, edge) in [("begins", &window.from), ("ends", &window.to)] {
        if let Some(edge) = edge {
            let _ = writeln!(text, "# It {what} where the check {edge}.");
        }
    }
    text.push_str(&spec_text(scene, point));
    text
}

fn head(title: &str, scene: Scene<'_>) -> String {
    format!(
        "title = {title:?}
pairs = [\"{}\"]
any-experiment = true

[experiment]
name = \"duet\"
games = {}

[[steps]]
enter = {{}}
",
        scene.track.pair, scene.games
    )
}

/// What makes the partner's role, before anybody presses Start.
fn before_start(role: Role) -> &'static str {
    match role {
        Role::Behind => {
            "
# The partner stays behind: the target still holds its game while the survivor goes on.
[[steps]]
hold = { as = \"partner-stays-behind\", player = \"partner\", direction = \"to-server\", event = \"advance_scene\", until = { player = \"survivor\", direction = \"to-server\", event = \"static_scene_data_emission\" } }
"
        }
        Role::Abreast => "",
        Role::First => {
            "
# The partner comes to the waiting room first.
[[steps]]
hold = { as = \"partner-is-first\", player = \"survivor\", direction = \"to-server\", event = \"join_game\", until = { player = \"partner\", direction = \"to-client\", event = \"waiting_room\" } }
"
        }
        Role::Second => {
            "
# The survivor comes to the waiting room first.
[[steps]]
hold = { as = \"survivor-is-first\", player = \"partner\", direction = \"to-server\", event = \"join_game\", until = { player = \"survivor\", direction = \"to-client\", event = \"waiting_room\" } }
"
        }
    }
}

fn verb(how: WayToLeave) -> &'static str {
    match how {
        WayToLeave::Kill => "dies",
        WayToLeave::CloseTab => "closes its tab",
        WayToLeave::Quit => "quits its browser",
        WayToLeave::Navigate => "goes to another page",
        WayToLeave::Reload => "reloads its page",
        WayToLeave::Freeze => "freezes",
        WayToLeave::Stall => "falls silent",
        WayToLeave::CutNetwork => "loses its network",
    }
}

fn words(event: GameEvent) -> &'static str {
    match event {
        GameEvent::SceneEntered => "arrival in the GymScene",
        GameEvent::JoinSent => "request for a partner",
        GameEvent::MatchFound => "match",
        GameEvent::GameStarted => "start",
        GameEvent::FirstFrame => "first frame",
        GameEvent::LastFrames => "last frames",
        GameEvent::LastEpisodeEnded => "end of the last episode",
        GameEvent::AdvanceSent => "advance",
        GameEvent::AdvanceHandled => "advance that the target has handled",
        GameEvent::SceneTerminated => "end of the GymScene",
        GameEvent::SceneActivated => "arrival on the scene after the game",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::sweep::session::tests::session;

    #[test]
    fn specs_of_several_pairs_do_not_overwrite_each_other() {
        let point = session().point(6250.0).expect("a point");
        let names = |pair: &str, among_pairs| {
            let pair = pair.parse().expect("a pair");
            let scene = Scene {
                track: &Track::new(WayToLeave::Kill, Role::Behind, pair),
                games: 2,
                among_pairs,
            };
            [file_name(scene, &point), undisturbed_name(scene)]
        };
        assert_eq!(
            names("chrome+firefox", false),
            ["kill-behind-1-last-episode-ended-250", "undisturbed-behind"]
        );
        let both = names("chrome+firefox", true);
        assert_eq!(
            both,
            [
                "kill-behind-chrome-firefox-1-last-episode-ended-250",
                "undisturbed-behind-chrome-firefox"
            ]
        );
        assert_ne!(both, names("firefox+chrome", true));
    }
}
