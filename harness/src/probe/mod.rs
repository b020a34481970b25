//! The script that the gateway puts in front of every other script of a page.
//!
//! It keeps a ledger of what the page makes (peer connections, data channels, workers, timers,
//! WebSockets) and of what it shows (everything that could be an overlay, between two samples as
//! well as at them), and tells it to the gateway as it happens: what it knows survives the death
//! of its browser. It uses standard web APIs only and leans on nothing of the page.
//! What frames within the page make, and `requestIdleCallback`, it does not watch.
//!
//! # Putting it in
//!
//! [`SCRIPT`] goes, as the text of an inline `<script>`, before every other script of the page.
//! [`CONFIG_PLACEHOLDER`] in it is replaced by an object: `token`, which says whose page it is, and
//! `path`, where on the page's own host the gateway listens for the probe:
//! `{"token":"…","path":"/__gymcheck/probe"}`. Without a `path` the probe stays silent.
//!
//! # The protocol
//!
//! The probe opens a WebSocket to `<path>?token=<token>`. Each message is one JSON object, as text.
//!
//! | gateway | page | |
//! |---|---|---|
//! | `{"clock":true}` | `{"now":…}` | the page's `performance.now()` |
//! | `{"offset":…}` | | milliseconds which, added to that, give the run's clock; the newest one counts |
//! | | `{"page_t":…,"event":…,…}` | from then on: a [`PageEvent`](crate::evidence::PageEvent) without its `page` |
//! | `{"id":…,"cmd":…,…}` | `{"re":…,…}` | a request and its answer; `{"re":…,"error":…}` if it cannot be answered |
//!
//! The gateway asks for the clock a few times when the page is new, and every other second from then
//! on. The answer with the shortest round trip is the best: the page read its clock somewhere between
//! question and answer, so that its middle is off by half the round trip at most, and by what the page
//! misreads: Firefox lets it read whole milliseconds only. A page that loads is busy, and its first
//! answer may be off by a fifth of a second. The evidence has each offset that was said, with its
//! bound ([`ClockFact`](crate::evidence::ClockFact)).
//!
//! What happened before the clock was known is told first, in order, with the time at which it
//! happened. The first event of a page is always `hello`; a probe that had to connect again does
//! not say it again. The last one is `bye`, in Chromium: Firefox ends the WebSockets of a page before
//! it tells the page that it is being left, and the end of the WebSocket must do. A probe that cannot
//! connect tries seven times over some six seconds; meanwhile it keeps its last 10 000 events. Trouble
//! of its own, lost events among it, comes as a line of the console with the level `probe`.
//!
//! | `cmd` | | answer |
//! |---|---|---|
//! | `snapshot` | `sayings`: sentences that the page may show | `page_t`, `state`: a [`PageState`](crate::evidence::PageState) |
//! | `turns` | `count`: how many turns of the event loop to let pass first | `page_t`, `websockets`: each a [`WebsocketState`](crate::evidence::WebsocketState) |
//! | `hit_test` | | `page_t`, `controls`: each a [`Control`](crate::evidence::Control) |
//! | `rects` | `selectors` | `rects`: `selector`, `x`, `y`, `width`, `height` of each element found, in CSS pixels from the viewport's corner; `ratio`: device pixels to one of these; `viewport`: width and height |
//!
//! All that happened before a request is told before its answer.
//!
//! # What counts as an overlay
//!
//! - `known-id`: an element with an id that the client uses for one, shown or not; also one that
//!   came and went within a single task, which is told as not present.
//! - `covers-page`: an element out of the flow (`fixed` or `absolute`) outside of `#gameContainer`
//!   that covers at least 40 % of the viewport, and that a user can see, or would meet with the
//!   pointer. A modal dialog stops the whole page: it counts as covering all of it.
//! - `hides-page`: a child of `body` that was shown later than all that is now hidden, while nothing
//!   else is left to see.
//!
//! `#episodeTransitionOverlay` is normal play and never one. An element's `visible` says whether it
//! stands over the page at that moment; each change of it is an event.
//!
//! Closed shadow trees are seen as well, unless the parser made them. Not seen: an unknown overlay
//! that came and went within a single task (nobody could see it either); one painted on a canvas; one
//! that a script shows through a changed style sheet, until the next change of the document or the
//! next snapshot. Hit-testing and pixels are there for these.

/// The probe, as the text of an inline script.
pub const SCRIPT: &str = include_str!("probe.js");

/// What stands in [`SCRIPT`], once, in the place of its configuration.
pub const CONFIG_PLACEHOLDER: &str = "/*GYMCHECK_CONFIG*/{}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_placeholder_stands_in_the_script_once() {
        assert_eq!(SCRIPT.matches(CONFIG_PLACEHOLDER).count(), 1);
    }

    #[test]
    fn the_script_can_stand_inline() {
        let script = SCRIPT.to_lowercase();
        assert!(!script.contains("</script"), "it would end the element");
        assert!(!script.contains("<!--"), "it would hide what follows");
    }
}
