//! Whether a player turned away around the survivor's exit, so that an overlay could come of it.

use super::Stimulus;
use super::facts::{PARTNER, SURVIVOR, left_the_game, seq};
use super::games::game;
use crate::evidence::{Event, Fact, Log, PageFact};
use crate::spec::{Calm, ExitPath, Experiment, PlayerName};

/// What had to be seen of each player whose turning away is to disturb the scene.
pub(super) fn away(calm: &Calm, experiment: &Experiment, log: &Log) -> Vec<Stimulus> {
    let players = calm.away.iter();
    players
        .map(|player| match player {
            PlayerName::Survivor => survivor(calm, experiment, log),
            PlayerName::Partner => partner(calm, log),
        })
        .collect()
}

/// The survivor's page is in the background, and becomes so for too long on the scene after the game.
fn survivor(calm: &Calm, experiment: &Experiment, log: &Log) -> Stimulus {
    let exit = left_the_game(log, calm.game).map_or(u64::MAX, |exit| exit.seq);
    let by = log.barrier(SURVIVOR, &calm.after);
    let due = log.taken(SURVIVOR, ExitPath::FocusLossDue, experiment, exit);
    let due = due.filter(|due| by.is_some_and(|by| due.seq < by.seq));
    Stimulus::new(
        "the survivor's page was in the background until it had been so, after the exit, for longer \
         than it may be in a game",
        seq(due),
    )
}

/// The partner's page goes into the background between the end of the survivor's last episode and its
/// exit, and its connection still says so.
fn partner(calm: &Calm, log: &Log) -> Stimulus {
    let turned_away = game(log, calm.game.get()).and_then(|game| {
        let (complete, exit) = (game.complete?.seq, game.exit?.seq);
        let hidden = log.of(PARTNER).find(|event| {
            event.seq > complete
                && matches!(&event.fact, Fact::Page(page)
                    if matches!(&page.what, PageFact::Visibility { state } if state == "hidden"))
        })?;
        let heard = log.of(SURVIVOR).rfind(|event| {
            event.seq > hidden.seq && event.seq < exit && received_more(log, event)
        })?;
        Some([hidden.seq, heard.seq])
    });
    Stimulus::new(
        "the partner's page went into the background after the survivor's last episode, and the \
         survivor's page still received something of it before its exit",
        turned_away.map(Vec::from).unwrap_or_default(),
    )
}

/// Whether a data channel of the survivor's had received more at an event than it had before.
fn received_more(log: &Log, event: &Event) -> bool {
    let Some((channel, now)) = event.channel_received() else {
        return false;
    };
    let before = log.of(SURVIVOR).filter(|other| other.seq < event.seq);
    let mut told = before.filter_map(Event::channel_received);
    let had = told.rfind(|(other, _)| *other == channel);
    had.is_none_or(|(_, had)| now > had)
}
