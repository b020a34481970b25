//! What checks let pass by name, each with its reason. Nothing is excused anywhere else.

/// A listener on the client's socket that may stay after the exit although it was not there before
/// the first game.
struct KeptListener {
    event: &'static str,
    /// How many others the page itself has. With more than these there has been a game before, and
    /// one more is one too many.
    others: u32,
}

/// Why listeners of a game object are let pass.
const KEPT: &str = "the page's game object registers them once and keeps them for its next game";

const fn kept(event: &'static str, others: u32) -> KeptListener {
    KeptListener { event, others }
}

/// That their late events do no harm is asked by `no-overlay`, and that they do not multiply by
/// `counts-steady`.
const KEPT_LISTENERS: [KeptListener; 13] = [
    kept("continuous_callback_result", 0),
    kept("p2p_game_ended", 0),
    kept("p2p_pause", 0),
    kept("p2p_resume", 0),
    kept("p2p_state_request", 0),
    kept("p2p_state_response", 0),
    kept("p2p_state_sync", 0),
    kept("p2p_validation_complete", 1),
    kept("partner_excluded", 0),
    kept("pyodide_game_ready", 0),
    kept("pyodide_other_player_action", 0),
    kept("pyodide_player_assigned", 0),
    kept("trigger_data_export", 0),
];

/// Why one more listener of this event may stay, if it may; `had` were there before the game.
pub(super) fn kept_listener(event: &str, had: u32) -> Option<&'static str> {
    KEPT_LISTENERS
        .iter()
        .find(|kept| kept.event == event && had <= kept.others)
        .map(|_| KEPT)
}

/// The scripts whose time-outs and callbacks draw the scene where a survivor rests: they go on for as long as it is
/// shown.
const DRAWING: [&str; 1] = ["phaser.min.js"];

/// Whether a script draws the scene, and does nothing else.
pub(super) fn draws(script: &str) -> bool {
    DRAWING.contains(&script)
}
