//! What is known of a page's clock: the best of many samples.

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval_at};

/// How many samples are taken one after the other when a page is new. It is busy then: one of them
/// alone may take long.
const FIRST_SAMPLES: u32 = 5;

/// How often another one is taken later.
const LATER: Duration = Duration::from_secs(2);

/// When the later samples are due. Those that a busy gateway missed are not made up for.
pub(super) fn now_and_then() -> Interval {
    let mut interval = interval_at(tokio::time::Instant::now() + LATER, LATER);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// By how many milliseconds a page's reading of its own clock can be off, either way. Browsers
/// coarsen it ("Clock resolution" in W3C's High Resolution Time), and move the edges of the steps
/// at random: Firefox in steps of 1 ms, Chromium in steps of 0.1 ms.
const COARSENED: f64 = 1.0;

/// A sample of a page's clock, all in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample {
    /// What to add to the page's clock to get the run's.
    pub(super) offset: f64,
    /// By how much it can be off: half of the round trip, and what the page's reading can be off.
    pub(super) bound: f64,
}

/// The samples of a page's clock so far.
#[derive(Debug, Default)]
pub(super) struct PageClock {
    /// When the page was asked, on the run's clock, if it has yet to answer.
    asked: Option<f64>,
    samples: u32,
    best: Option<Sample>,
}

impl PageClock {
    /// Notes that the page is asked now. False if it has yet to answer the last time: a second
    /// question would only wait behind the first one.
    pub(super) fn ask(&mut self, now: f64) -> bool {
        let free = self.asked.is_none();
        if free {
            self.asked = Some(now);
        }
        free
    }

    /// Takes the page's answer, heard at `now`. Gives the sample if it is the best one so far.
    pub(super) fn hear(&mut self, page_now: f64, now: f64) -> Option<Sample> {
        let asked = self.asked.take()?;
        self.samples += 1;
        let sample = Sample {
            // The page read its clock somewhere between the question and the answer.
            offset: (asked + now) / 2.0 - page_now,
            bound: (now - asked) / 2.0 + COARSENED,
        };
        let better = self.best.is_none_or(|best| sample.bound < best.bound);
        better.then(|| *self.best.insert(sample))
    }

    /// Whether the page is new, and to be asked again at once.
    pub(super) fn is_new(&self) -> bool {
        self.samples < FIRST_SAMPLES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_round_trip_counts() {
        let mut clock = PageClock::default();
        assert!(clock.ask(100.0));
        assert!(!clock.ask(101.0), "it has yet to answer");
        // Its clock is 90 ms behind; it was busy, and read its clock at the end.
        let slow = clock.hear(110.0, 200.0).expect("the first one counts");
        assert_eq!((slow.offset, slow.bound), (40.0, 51.0));
        assert!(clock.ask(300.0));
        let fast = clock.hear(211.0, 302.0).expect("it is better");
        assert_eq!((fast.offset, fast.bound), (90.0, 2.0));
        assert!(clock.ask(400.0));
        assert_eq!(clock.hear(312.0, 404.0), None, "it is worse");
        assert_eq!(clock.hear(313.0, 405.0), None, "nobody asked");
    }

    /// Firefox reads 10 or 11 for all that lies between, whatever the round trip.
    #[test]
    fn a_coarse_reading_is_off_by_no_more_than_is_said() {
        for (reading, coarse) in [(10.01, 11.0), (10.99, 10.0)] {
            let mut clock = PageClock::default();
            // Its clock is 90 ms behind. The answer takes next to no time.
            let now = reading + 90.0;
            assert!(clock.ask(now - 0.1));
            let sample = clock.hear(coarse, now + 0.1).expect("the first one counts");
            assert!((sample.offset - 90.0).abs() <= sample.bound, "{sample:?}");
        }
    }

    #[test]
    fn a_new_page_is_asked_a_few_times() {
        let mut clock = PageClock::default();
        for _ in 0..FIRST_SAMPLES {
            assert!(clock.is_new());
            assert!(clock.ask(0.0));
            clock.hear(0.0, 1.0);
        }
        assert!(!clock.is_new());
    }
}
