//! Whether the pages could play as fast as they should. Who falls far behind lags for reasons that are
//! none of the target's, and the target's client answers a lag by leaving the connection.

use crate::evidence::{BrokenFact, Fact, Log, PageFact};
use crate::spec::{Question, Spec};

/// So many times longer than it should a game may take on a busy machine.
const SLOWEST: f64 = 3.0;
/// From fewer frames no pace can be told.
const LEAST_FRAMES: u32 = 20;

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
        | Question::SameEquipment(_)
        | Question::NobodyTold(_)
        | Question::CountsSteady(_)
        | Question::ServerForgets(_) => false,
    }
}

/// The first and the last frame of an episode that a page told of.
#[derive(Clone, Copy)]
struct Stretch<'a> {
    player: &'a str,
    page: u32,
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
        (frames >= LEAST_FRAMES && took > SLOWEST * should).then(|| BrokenFact {
            component: "environment".to_owned(),
            reason: format!(
                "the machine is too busy: the {player}'s page played {frames} frames in {took:.1} s \
                 instead of {should:.1} s; give it fewer --jobs, or less to do besides"
            ),
            last_lines: Vec::new(),
            worth_a_retry: true,
        })
    })
}

/// Of each page the stretches in which it counted up its frames: its episodes. A game counts on after
/// the last step of an episode, and until the next one begins.
fn stretches(log: &Log, steps: u32) -> Vec<Stretch<'_>> {
    let mut stretches: Vec<Stretch<'_>> = Vec::new();
    for event in log.events() {
        let Fact::Page(page) = &event.fact else {
            continue;
        };
        let PageFact::GameProgress { frame, .. } = page.what else {
            continue;
        };
        if frame == 0 || frame > steps {
            continue;
        }
        let player = event.player.as_deref().unwrap_or_default();
        let told = Told {
            frame,
            at: page.page_t,
        };
        let newest = stretches
            .iter_mut()
            .rfind(|one| (one.player, one.page) == (player, page.page));
        match newest {
            Some(stretch) if told.frame > stretch.last.frame => stretch.last = told,
            // A rollback plays some frames again.
            Some(stretch) if told.frame > stretch.first.frame => {}
            _ => stretches.push(Stretch {
                player,
                page: page.page,
                first: told,
                last: told,
            }),
        }
    }
    stretches
}
