//! How long the stage waits for what. The machines that this runs on may be shared and slow: only
//! a wait that is certainly in vain should end by its deadline.

use std::time::Duration;

/// For the target to listen.
pub const SERVER: Duration = Duration::from_secs(60);
/// For a driver to listen.
pub const DRIVER: Duration = Duration::from_secs(60);
/// For a browser to start and give a session.
pub const BROWSER: Duration = Duration::from_secs(120);
/// For a WebDriver command to return.
pub const COMMAND: Duration = Duration::from_secs(60);
/// For both ends of a link to be seen as they were set.
pub const LINK: Duration = Duration::from_secs(20);
/// For killed processes to vanish.
pub const DEATH: Duration = Duration::from_secs(20);
/// For the page to load its scripts and the Python runtime.
pub const LOAD: Duration = Duration::from_secs(240);
/// For a browser at a node of a grid to load the page itself, without what its scripts load.
pub const REACHED: Duration = Duration::from_secs(90);
/// For the target or the page to react to something.
pub const REACTION: Duration = Duration::from_secs(90);
/// For the target to notice and handle the end of a connection: a ping interval of 8 s and a
/// time-out of 30 s, with room.
pub const DISCONNECT: Duration = Duration::from_secs(90);
/// For the target to notice by itself that nothing comes any more: the same, and a round of looking after
/// every participant, which takes as long as the time-out again.
pub const SILENCE: Duration = Duration::from_secs(180);
/// For the target to answer a request, whatever it says.
pub const ANSWER: Duration = Duration::from_secs(30);
/// For the probe to answer.
pub const PROBE: Duration = Duration::from_secs(60);
/// For the watcher of a process to tell that it has ended, when somebody else has noticed already.
pub const LAST_WORDS: Duration = Duration::from_secs(3);
