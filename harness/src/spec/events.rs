//! The Socket.IO events of the target, by the way that they travel.

use super::nearest::nearest;
use crate::evidence::Direction;

/// What a target sends to a page, or what a page listens for: in the release 0.1.3, and in the
/// checkouts of the older package that specs are run on.
const TO_CLIENT: &[&str] = &[
    "activate_scene",
    "continuous_callback_result",
    "create_game_failed",
    "duplicate_session",
    "end_game",
    "end_game_request_redirect",
    "entry_callback_result",
    "environment_state",
    "experiment_config",
    "game_reset",
    "invalid_session",
    "join_game_error",
    "match_found_countdown",
    "p2p_game_ended",
    "p2p_pause",
    "p2p_resume",
    "p2p_state_request",
    "p2p_state_response",
    "p2p_state_sync",
    "p2p_validation_complete",
    "p2p_validation_repool",
    "p2p_validation_status",
    "partner_excluded",
    "pong",
    "preload_unity_game",
    "probe_prepare",
    "probe_signal",
    "probe_start",
    "pyodide_game_ready",
    "pyodide_hud_sync",
    "pyodide_other_player_action",
    "pyodide_player_assigned",
    "redirect",
    "rejoin_failed",
    "rejoin_success",
    "request_pressed_keys",
    "server_authoritative_state",
    "server_episode_start",
    "server_game_complete",
    "server_render_state",
    "server_session_id",
    "session_restored",
    "single_player_waiting_room",
    "single_player_waiting_room_failure",
    "start_game",
    "terminate_scene",
    "toTitleScreen",
    "trigger_data_export",
    "unity_episode_end",
    "updateBotSettings",
    "update_game_page_text",
    "update_unity_score",
    "waiting_room",
    "waiting_room_error",
    "waiting_room_player_left",
    "webrtc_signal",
];

/// What a page sends to a target, or what a target listens for, in the same.
const TO_SERVER: &[&str] = &[
    "advance_scene",
    "client_callback",
    "client_console_log",
    "emit_episode_data",
    "emit_multiplayer_metrics",
    "emit_remote_game_data",
    "end_game_request_redirect",
    "execute_continuous_callback",
    "execute_entry_callback",
    "input",
    "join_game",
    "leave_game",
    "mid_game_exclusion",
    "multiplayer_game_complete",
    "p2p_connection_lost",
    "p2p_connection_type",
    "p2p_game_ended",
    "p2p_health_report",
    "p2p_reconnection_success",
    "p2p_reconnection_timeout",
    "p2p_state_request",
    "p2p_state_response",
    "p2p_state_sync",
    "p2p_validation_failed",
    "p2p_validation_status",
    "p2p_validation_success",
    "participant_terminal_state",
    "ping",
    "player_action",
    "probe_ready",
    "probe_result",
    "probe_signal",
    "pyodide_hud_update",
    "pyodide_loading_complete",
    "pyodide_loading_start",
    "pyodide_player_action",
    "pyodide_send_full_state",
    "pyodide_state_hash",
    "register_subject",
    "rejoin_server_auth",
    "request_current_scene",
    "request_redirect",
    "reset_complete",
    "send_pressed_keys",
    "single_player_waiting_room_end",
    "static_scene_data_emission",
    "sync_globals",
    "unityEpisodeEnd",
    "unityEpisodeStart",
    "waitroom_timeout_completion",
    "webrtc_signal",
];

/// The events that travel one way.
#[must_use]
pub fn known_events(direction: Direction) -> &'static [&'static str] {
    match direction {
        Direction::ToClient => TO_CLIENT,
        Direction::ToServer => TO_SERVER,
    }
}

/// What is wrong with a name, if no such event travels that way.
pub(super) fn mistake(name: &str, direction: Direction) -> Option<String> {
    let other = match direction {
        Direction::ToClient => Direction::ToServer,
        Direction::ToServer => Direction::ToClient,
    };
    if known_events(direction).contains(&name) {
        None
    } else if known_events(other).contains(&name) {
        Some(format!(
            "the event `{name}` travels {other}, never {direction}"
        ))
    } else {
        let known = known_events(direction);
        Some(match nearest(name, known.iter().copied()) {
            Some(nearest) => format!(
                "unknown event `{name}`, expected one that travels {direction}; did you mean \
                 `{nearest}`?"
            ),
            None => format!(
                "unknown event `{name}`, expected one that travels {direction}: {}",
                known.join(", ")
            ),
        })
    }
}
