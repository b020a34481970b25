//! Questions to the evidence that more than one check asks.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use crate::evidence::{
    Control, DataFile, Direction, Event, Fact, GameScene, HitTest, KernelFact, Log, Overlay,
    PageFact, PixelsFact, SceneKind, Snapshot, UdpSocket, WireFact,
};
use crate::spec::GameNumber;

/// The player who stays, and the one who goes.
pub(super) const SURVIVOR: &str = "survivor";
pub(super) const PARTNER: &str = "partner";

/// How large a share of the pixels may differ between two pictures of the same page.
const SAME_PICTURE: f64 = 0.001;

/// The position of an event, if there is one, as evidence.
pub(super) fn seq(event: Option<&Event>) -> Vec<u64> {
    event.map(|event| event.seq).into_iter().collect()
}

/// Whether the arguments of an `activate_scene` are those of a GymScene.
pub(super) fn is_game(args: &[Value]) -> bool {
    args.first().and_then(|scene| scene.get("scene_type")) == Some(&Value::from("GymScene"))
}

/// A player's GymScene of this game for two, if the player came to it.
pub(super) fn game_of<'a>(
    log: &'a Log,
    player: &'a str,
    game: GameNumber,
) -> Option<GameScene<'a>> {
    log.games(player).into_iter().nth(game.index())
}

/// The event by which the survivor came to stand on the scene after this game.
pub(super) fn left_the_game(log: &Log, game: GameNumber) -> Option<&Event> {
    game_of(log, SURVIVOR, game)?.left
}

/// The event by which a player's game started.
pub(super) fn started<'a>(log: &'a Log, player: &'a str, game: GameNumber) -> Option<&'a Event> {
    game_of(log, player, game)?.started
}

/// Whether a connection measured the round trip for the matchmaking, by the script that made it. All
/// other connections are those of games.
pub(super) fn is_measuring(stack: &str) -> bool {
    stack.contains("probe_connection.js")
}

/// The events by which the survivor was told, between two positions, that this game ended because
/// the partner went.
pub(super) fn told_of_the_end(
    log: &Log,
    game: GameNumber,
    from: u64,
    to: u64,
) -> Vec<(&Event, &WireFact)> {
    let game = game_of(log, SURVIVOR, game).and_then(|game| game.game);
    log.socket_events(SURVIVOR, Direction::ToClient, "p2p_game_ended")
        .filter(|(event, _, _)| event.seq > from && event.seq < to)
        .filter(|(_, _, args)| {
            let said = args.first();
            let of_this_game = said.and_then(|said| said.get("game_id")) == game;
            let completed =
                said.and_then(|said| said.get("reason")) == Some(&Value::from("scene_completed"));
            game.is_some() && of_this_game && !completed
        })
        .map(|(event, wire, _)| (event, wire))
        .collect()
}

/// Overlays that the survivor's page told of between two positions.
pub(super) fn overlays(log: &Log, from: u64, to: u64) -> impl Iterator<Item = (&Event, &Overlay)> {
    log.of(SURVIVOR)
        .filter(move |event| event.seq > from && event.seq < to)
        .filter_map(|event| match &event.fact {
            Fact::Page(page) => match &page.what {
                PageFact::Overlay(overlay) => Some((event, overlay)),
                _ => None,
            },
            _ => None,
        })
}

/// An overlay in words.
pub(super) fn describe(overlay: &Overlay) -> String {
    let what = if overlay.visible {
        format!("covers {:.0} % of the view", overlay.coverage * 100.0)
    } else {
        "was there for less than a frame".to_owned()
    };
    format!(
        "`{}` ({}) {what}, saying \"{}\"",
        overlay.element, overlay.reason, overlay.text
    )
}

/// What a page says of what a player is told whose partner has gone, if it says it outside of every overlay, and did
/// not do so at an earlier look.
pub(super) fn says(page: &Snapshot, earlier: Option<&Snapshot>) -> Option<String> {
    let in_overlay = |saying: &str| {
        let mut visible = page.state.overlays.iter().filter(|one| one.visible);
        visible.any(|overlay| tells(overlay, page, saying))
    };
    let mut sayings = page.state.says.iter().flatten();
    let saying = sayings
        .find(|one| !in_overlay(one) && !earlier.is_some_and(|earlier| shows(earlier, one)))?;
    Some(format!("the page says \"{saying}\""))
}

/// Whether a page shows a sentence, wherever it stands.
fn shows(page: &Snapshot, sentence: &str) -> bool {
    page.state.says.iter().flatten().any(|one| one == sentence)
}

/// Whether an overlay says a sentence, however its white space falls. Of one with markup the page has to say, as a
/// whole, that it shows it.
pub(super) fn tells(overlay: &Overlay, page: &Snapshot, sentence: &str) -> bool {
    let squashed = |text: &str| text.split_whitespace().collect::<String>();
    let has_markup = sentence.contains(['<', '&']);
    squashed(&overlay.text).contains(&squashed(sentence))
        || (has_markup && shows(page, sentence.trim()))
}

/// The files of a kind (`episode` or `answers`) that the target stored of a player, by path: each as it was
/// found last.
pub(super) fn data_files<'a>(
    log: &'a Log,
    player: &'a str,
    what: &str,
) -> BTreeMap<&'a str, (&'a Event, &'a DataFile)> {
    let mut files = log.data_files(player);
    files.retain(|_, (_, file)| file.what == what);
    files
}

/// The survivor's hit test at a moment.
pub(super) fn hit_test<'a>(log: &'a Log, label: &str) -> Option<(&'a Event, &'a HitTest)> {
    log.of(SURVIVOR).find_map(|event| match &event.fact {
        Fact::HitTest(test) if test.label == label => Some((event, test)),
        _ => None,
    })
}

/// The controls of a scene that are shown, and are not on top: which, and what covers each.
pub(super) fn covered(test: &HitTest) -> Vec<String> {
    let shown = test.controls.iter().filter(|control| control.rendered);
    shown
        .filter(|control| !control.on_top)
        .map(|control| {
            format!(
                "`{}` is covered by `{}`",
                control.element,
                control.covered_by.as_deref().unwrap_or("something")
            )
        })
        .collect()
}

/// How many controls of a scene are shown.
pub(super) fn shown(test: &HitTest) -> usize {
    let controls = test.controls.iter();
    controls.filter(|control| control.rendered).count()
}

/// Why a scene cannot be hit-tested that needs nothing of the participant any more.
pub(super) const NO_CONTROL: &str = "the experiment's end shows no control";

/// Whether the survivor stood at the experiment's end at a position: such a scene may have no control.
pub(super) fn stands_at_the_end(log: &Log, by: u64) -> bool {
    let mut scenes = log.scenes(SURVIVOR).filter(|(event, _)| event.seq < by);
    scenes
        .next_back()
        .is_some_and(|(_, scene)| scene.kind() == SceneKind::End)
}

/// The UDP sockets of a browser that it did not have before; multicast DNS is none.
pub(super) fn new_sockets<'a>(before: &KernelFact, now: &'a KernelFact) -> Vec<&'a UdpSocket> {
    let known: HashSet<u64> = before.udp.iter().map(|socket| socket.inode).collect();
    now.udp
        .iter()
        .filter(|socket| !socket.multicast_dns && !known.contains(&socket.inode))
        .collect()
}

/// A socket that should be closed, in words.
pub(super) fn still_held(socket: &UdpSocket) -> String {
    format!(
        "process {} still holds the UDP socket {}",
        socket.pid, socket.local
    )
}

/// Whether a click at a control's centre reaches it.
pub(super) fn reachable(control: &Control) -> bool {
    control.rendered && control.on_top
}

/// The comparison of the survivor's screenshots of two moments.
pub(super) fn pixels<'a>(
    log: &'a Log,
    before: &str,
    after: &str,
) -> Option<(&'a Event, &'a PixelsFact)> {
    log.of(SURVIVOR).find_map(|event| match &event.fact {
        Fact::Pixels(pixels) if pixels.before == before && pixels.after == after => {
            Some((event, pixels))
        }
        _ => None,
    })
}

/// The share of pixels that differ, and whether that is the same picture.
pub(super) fn difference(pixels: &PixelsFact) -> (f64, bool) {
    let share = pixels.differing as f64 / (pixels.compared.max(1)) as f64;
    (share, pixels.compared > 0 && share <= SAME_PICTURE)
}

/// Whether two values of a table are the same text, or the same number: a column is written with
/// decimals as soon as one of its cells is empty.
pub(super) fn same(one: &str, other: &str) -> bool {
    one == other
        || matches!((one.parse::<f64>(), other.parse::<f64>()), (Ok(one), Ok(other)) if one == other)
}
