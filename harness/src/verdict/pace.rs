//! Whether the machine kept up. Pages that fall far behind lag for reasons that are none of the target's, and
//! the target's client answers a lag by leaving the connection, or by going on twice; who leaves far later than
//! the spec says leaves in another moment.

use crate::evidence::{BrokenFact, Event, Fact, Log, PageFact};
use crate::spec::{Question, Spec, WayToLeave};

/// So many times longer than it should a game may take on a busy machine.
const SLOWEST: f64 = 3.0;
/// From fewer frames no pace can be told.
const LEAST_FRAMES: u32 = 20;
/// What the page of a release says when the timer of its "Done!" countdown comes half a second late.
const COUNTED_LATE: &str = "after throttled countdown";
/// So much later than the spec says a departure may be, in milliseconds. On a machine with nothing else to do it
/// takes a tenth of a second.
const LATEST: f64 = 400.0;

/// Whether a lag of the machine could make a check fail.
pub(super) fn matters_to(question: &Question) -> bool {
    match question {
        Question::PlayedPeerToPeer(_) | Question::FreshConnection(_) => true,
        Question::ConnectionsClosed(_)
        | Question::NoOverlay(_)
        | Question::OverlayShown(_)
        | Question::FormAnswered(_)
        | Question::SceneOrder(_)
        | Question::EquipmentStopped(_)
        | Question::DataWhole(_)
        | Question::NoErrors(_)
        | Question::ToldOrCarriedOn(_)
        | Question::SoundAfterDeparture(_)
        | Question::NothingLeft(_)
        | Question::SameEquipment(_)
        | Question::NobodyTold(_)
        | Question::CountsSteady(_)
        | Question::ServerForgets(_) => false,
    }
}

/// Whether a departure that came too late could make a check say something else: those that go by where the
/// survivor was found when it came say the same of it.
pub(super) fn lateness_matters_to(question: &Question) -> bool {
    !matches!(
        question,
        Question::SoundAfterDeparture(_) | Question::NothingLeft(_)
    )
}

/// The first and the last frame of an episode that a page told of.
#[derive(Clone, Copy)]
struct Stretch<'a> {
    player: &'a str,
    page: u32,
    episodes: u32,
    first: Told,
    last: Told,
}

/// A frame, and when the page told of it, in milliseconds.
#[derive(Clone, Copy)]
struct Told {
    frame: u32,
    at: f64,
}

/// Why nothing can be said of a run in which a page played an episode far too slowly.
pub(super) fn too_slow(spec: &Spec, log: &Log) -> Option<BrokenFact> {
    let rate = f64::from(spec.body.experiment.frame_rate.max(1));
    let stretches = stretches(log, spec.body.experiment.steps);
    stretches.into_iter().find_map(|stretch| {
        let frames = stretch.last.frame - stretch.first.frame;
        let took = (stretch.last.at - stretch.first.at) / 1000.0;
        let should = f64::from(frames) / rate;
        let player = stretch.player;
        (frames >= LEAST_FRAMES && took > SLOWEST * should).then(|| {
            busy(&format!(
                "the {player}'s page played {frames} frames in {took:.1} s instead of {should:.1} s"
            ))
        })
    })
}

/// Why nothing can be said of a run in which the timers of a page that everybody could see came late.
pub(super) fn counted_late(log: &Log) -> Option<BrokenFact> {
    let says = |event: &&Event| {
        matches!(&event.fact, Fact::Page(page) if matches!(&page.what,
            PageFact::Console { text, .. } if text.contains(COUNTED_LATE)))
    };
    let late = log.events().iter().filter(says);
    let mut late = late.filter_map(|event| Some((event.seq, event.player.as_deref()?)));
    late.find_map(|(seq, player)| {
        // Browsers slow down the timers of pages in the background: that is no lag.
        let hidden = log.of(player).any(|event| {
            event.seq < seq
                && matches!(&event.fact, Fact::Page(page) if matches!(&page.what,
                    PageFact::Visibility { state } if state == "hidden"))
        });
        (!hidden).then(|| {
            busy(&format!(
                "a timer of the {player}'s page came half a second late in its countdown, as the page says"
            ))
        })
    })
}

/// Why nothing can be said of a run in which a player left far later than the spec says.
pub(super) fn left_late(log: &Log) -> Option<BrokenFact> {
    log.events().iter().find_map(|event| {
        let Fact::Departed(departed) = &event.fact else {
            return None;
        };
        // To quit a browser in an orderly way takes its time, and nobody tells of the silent ways.
        let is_prompt = !departed.how.is_silent() && departed.how != WayToLeave::Quit;
        let at = departed.at.as_ref().filter(|_| is_prompt)?;
        let player = event.player.as_deref()?;
        (at.actual_ms > at.wanted_ms + LATEST).then(|| {
            busy(&format!(
                "the {player} was gone {:.0} ms after the {}'s {} instead of {:.0} ms",
                at.actual_ms, at.of, at.after, at.wanted_ms
            ))
        })
    })
}

fn busy(what: &str) -> BrokenFact {
    BrokenFact {
        component: "environment".to_owned(),
        reason: format!(
            "the machine is too busy: {what}; give it fewer --jobs, or less to do besides"
        ),
        last_lines: Vec::new(),
        worth_a_retry: true,
    }
}

/// Of each page the stretches in which it counted up its frames: its episodes. A game counts on after
/// the last step of an episode, and until the next one begins; a new game begins with frame 0.
fn stretches(log: &Log, steps: u32) -> Vec<Stretch<'_>> {
    let mut stretches: Vec<Stretch<'_>> = Vec::new();
    for event in log.events() {
        let Fact::Page(page) = &event.fact else {
            continue;
        };
        let PageFact::GameProgress { episodes, frame } = page.what else {
            continue;
        };
        if frame > steps {
            continue;
        }
        let player = event.player.as_deref().unwrap_or_default();
        let told = Told {
            frame,
            at: page.page_t,
        };
        let newest = stretches
            .iter_mut()
            .rfind(|one| (one.player, one.page) == (player, page.page))
            .filter(|one| one.episodes == episodes);
        match newest {
            // It stands at 0 until it begins.
            Some(stretch) if stretch.first.frame == 0 => {
                (stretch.first, stretch.last) = (told, told)
            }
            Some(stretch) if told.frame > stretch.last.frame => stretch.last = told,
            // A rollback plays some frames again.
            Some(stretch) if told.frame > stretch.first.frame => {}
            _ => stretches.push(Stretch {
                player,
                page: page.page,
                episodes,
                first: told,
                last: told,
            }),
        }
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{Event, PageEvent};

    /// A log in which a page tells of frames, each so many seconds after the one before.
    fn log(told: &[(u32, u32, f64)]) -> Log {
        let mut at = 0.0;
        let events = told.iter().map(|(episodes, frame, seconds)| {
            at += seconds * 1000.0;
            Event {
                seq: 0,
                t: at,
                player: Some("survivor".into()),
                fact: Fact::Page(PageEvent {
                    page: 1,
                    page_t: at,
                    what: PageFact::GameProgress {
                        episodes: *episodes,
                        frame: *frame,
                    },
                }),
            }
        });
        Log::new(events.collect())
    }

    #[test]
    fn what_passes_between_two_episodes_or_games_is_nobodys_pace() {
        let told = [
            // A game that waits for its beginning, and counts on after its end.
            (0, 0, 0.0),
            (0, 1, 5.0),
            (0, 60, 2.0),
            (0, 70, 9.0),
            // Its second episode, in which the frames of the first one still stand.
            (1, 60, 1.0),
            (1, 0, 5.0),
            (1, 2, 3.0),
            (1, 58, 2.0),
            // Another game on the same page.
            (0, 0, 9.0),
            (0, 2, 4.0),
            (0, 40, 2.5),
            (0, 35, 0.1),
            (0, 60, 0.5),
        ];
        let log = log(&told);
        let took: Vec<(u32, f64)> = stretches(&log, 60)
            .into_iter()
            .filter(|one| one.last.frame - one.first.frame >= LEAST_FRAMES)
            .map(|one| {
                (
                    one.last.frame - one.first.frame,
                    (one.last.at - one.first.at) / 1000.0,
                )
            })
            .map(|(frames, took)| (frames, (took * 10.0).round() / 10.0))
            .collect();
        assert_eq!(took, [(59, 2.0), (56, 2.0), (58, 3.1)]);
    }
}
