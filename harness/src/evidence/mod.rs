//! What a run leaves behind: one log of events, from every source, on one clock.
//!
//! A run writes its evidence with a [`Recorder`]; verdicts are a pure function of the [`Log`] that
//! results. The log is JSON Lines: a [`Header`] first, then one [`Event`] a line.

mod course;
mod fact;
mod games;
mod life;
mod log;
mod paths;
mod profile;
mod recorder;
mod scenes;

pub use course::{Chance, Course, Moment, Parting, Sight};
pub use fact::*;
pub use games::GameScene;
pub use life::LifeEvent;
pub use log::{Damage, EVIDENCE, Header, Log, LogError};
pub use paths::{begins, comes_after, is_called_off};
pub use profile::{Profile, Span, Spent};
pub use recorder::{Awaited, Recorder, WaitError};
pub use scenes::{Scene, SceneKind};
