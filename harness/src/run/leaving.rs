//! Players who go away, and pages that go into the background.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::equipment::on_grid;
use super::scenario::Scenario;
use crate::evidence::{DepartedFact, Fact, LeavingFact, Source};
use crate::player::{PlayerError, SpareTab};
use crate::spec::{Background, Leave, PlayerName, WayToLeave};
use crate::stage::{BrowserSession, Member, deadline};

#[derive(Deserialize)]
struct Severed {
    /// How many connections were open.
    connections: u32,
}

/// A player who can leave at once.
enum Ready {
    Kill(Vec<Member>),
    Quit,
    CloseTab(SpareTab),
    Navigate,
    Reload,
    Freeze(Vec<Member>),
    Stall,
    CutNetwork,
}

impl Scenario {
    /// Lets a player leave, and waits until it was seen that it has: at its own browser, at the
    /// gateway, and by the target.
    pub(super) async fn leave(&mut self, leave: &Leave) -> Result<(), PlayerError> {
        let name = leave.player;
        let how = self.way_of(name, leave.how);
        let ready = self.prepare_to_leave(name, how).await?;
        let since = match leave.at {
            Some(moment) => Some((moment, self.go_on_until(moment).await?)),
            None => {
                self.pictures(&PlayerName::BOTH, "before the departure")
                    .await;
                None
            }
        };
        self.gone.insert(name);
        let instant = |at: f64| {
            let (moment, event) = since.as_ref()?;
            Some(self.instant(moment, event, at))
        };
        let leaving = LeavingFact {
            how,
            instead_of: (how != leave.how).then_some(leave.how),
            at: instant(self.recorder.now()),
        };
        let began = self
            .recorder
            .record_for(name.as_str(), Fact::Leaving(leaving))
            .seq;
        let proof = self.go(name, ready).await?;
        let patience = match how.is_silent() {
            true => {
                self.makes_way();
                deadline::SILENCE
            }
            false => deadline::DISCONNECT,
        };
        let ended = self.socket_ended(name, began, patience).await?;
        self.look_again(name, how).await?;
        let instant = since.map(|(moment, event)| self.instant(&moment, &event, ended));
        let departed = DepartedFact {
            how,
            proof,
            at: instant,
        };
        self.recorder
            .record_for(name.as_str(), Fact::Departed(departed));
        self.pictures(&PlayerName::BOTH, "after the departure")
            .await;
        Ok(())
    }

    /// How a player leaves who is to leave in this way, by what can be done to its browser.
    fn way_of(&self, name: PlayerName, how: WayToLeave) -> WayToLeave {
        let browser = self.stage.browsers.get(&name);
        match browser.and_then(BrowserSession::node) {
            // What comes nowhere near was refused before the run.
            Some(_) => on_grid(how).unwrap_or(how),
            None => how,
        }
    }

    /// Does what takes time and is no part of leaving.
    async fn prepare_to_leave(
        &self,
        name: PlayerName,
        how: WayToLeave,
    ) -> Result<Ready, PlayerError> {
        Ok(match how {
            WayToLeave::Kill => Ready::Kill(self.processes(name)),
            WayToLeave::Quit => Ready::Quit,
            WayToLeave::CloseTab => Ready::CloseTab(self.player(name).open_spare_tab().await?),
            WayToLeave::Navigate => Ready::Navigate,
            WayToLeave::Reload => Ready::Reload,
            WayToLeave::Freeze => Ready::Freeze(self.processes(name)),
            WayToLeave::Stall => Ready::Stall,
            WayToLeave::CutNetwork => Ready::CutNetwork,
        })
    }

    /// The processes of a player's browser.
    fn processes(&self, name: PlayerName) -> Vec<Member> {
        let browser = self.stage.browsers.get(&name);
        browser.map(BrowserSession::processes).unwrap_or_default()
    }

    /// Goes, and gives what was seen of it at the player's own browser.
    async fn go(&mut self, name: PlayerName, ready: Ready) -> Result<String, PlayerError> {
        match ready {
            Ready::Kill(known) => {
                if let Some(browser) = self.stage.browsers.get_mut(&name) {
                    browser.kill(&known).await?;
                }
                Ok("its browser was killed, and its processes are gone".to_owned())
            }
            Ready::Quit => {
                if let Some(browser) = self.stage.browsers.get_mut(&name) {
                    browser.quit().await?;
                }
                let browser = self.stage.browsers.get(&name);
                Ok(match browser.and_then(BrowserSession::node) {
                    Some(node) => {
                        format!("its session was ended, and the grid has it no more at {node}")
                    }
                    None => "its browser was quit, and its processes are gone".to_owned(),
                })
            }
            Ready::CloseTab(tabs) => self.player(name).close_tab(tabs).await,
            Ready::Navigate => self.player(name).navigate_away().await,
            Ready::Reload => self.player(name).reload().await,
            Ready::Freeze(known) => {
                let count = match self.stage.browsers.get_mut(&name) {
                    Some(browser) => browser.freeze(&known).await?.processes.len(),
                    None => 0,
                };
                Ok(format!(
                    "its browser was stopped, all {count} processes of it"
                ))
            }
            Ready::Stall => self.stall(name).await,
            Ready::CutNetwork => {
                let [before, after] = self.stage.cut_network(name).await?;
                let proof = format!("its link was cut: it is {after}");
                for link in [before, after] {
                    self.recorder.record_for(name.as_str(), Fact::Link(link));
                }
                Ok(proof)
            }
        }
    }

    /// Takes down once more what was done to a player who has told nobody, when the target has noticed.
    async fn look_again(&self, name: PlayerName, how: WayToLeave) -> Result<(), PlayerError> {
        match how {
            WayToLeave::Freeze => {
                if let Some(browser) = self.stage.browsers.get(&name) {
                    browser.observe_frozen();
                }
            }
            WayToLeave::CutNetwork => {
                let link = self.stage.link(name).await?;
                self.recorder.record_for(name.as_str(), Fact::Link(link));
            }
            WayToLeave::Kill
            | WayToLeave::CloseTab
            | WayToLeave::Quit
            | WayToLeave::Navigate
            | WayToLeave::Reload
            | WayToLeave::Stall => {}
        }
        Ok(())
    }

    /// Has the gateway pass nothing more for a player, and waits until that holds for the connection on
    /// which the player takes part.
    async fn stall(&self, name: PlayerName) -> Result<String, PlayerError> {
        let from = self.recorder.len();
        let log = self.recorder.log();
        let participant = log.participant(name.as_str(), from);
        let participant = participant.map(|(connection, _)| connection);
        let count = self.stage.gateway.stall(name.as_str());
        let what = format!("the gateway to pass nothing more for the {name}");
        let player = self.player(name);
        self.recorder
            .wait(from, deadline::REACTION, &what, |event| {
                player.is_mine(event)
                    && matches!(&event.fact, Fact::Stalled(stalled)
                        if Some(stalled.connection) == participant)
            })
            .await?;
        Ok(format!(
            "the gateway passes nothing on its connections any more, {count} of them open"
        ))
    }

    /// Waits until the socket that a player had when it began to leave has ended at the gateway,
    /// and the target has finished with that. Gives when it ended.
    async fn socket_ended(
        &self,
        name: PlayerName,
        began: u64,
        patience: Duration,
    ) -> Result<f64, PlayerError> {
        let log = self.recorder.log();
        let Some((connection, session)) = log.participant(name.as_str(), began) else {
            return Err(PlayerError::Missed(format!(
                "the {name} had no Socket.IO session to leave"
            )));
        };
        let what = format!("the {name}'s socket to end");
        let player = self.player(name);
        let ended = self
            .recorder
            .wait(0, patience, &what, |event| {
                player.is_mine(event)
                    && matches!(&event.fact, Fact::WireClosed(closed) if closed.connection == connection)
            })
            .await?;
        if self.recorder.log().lacks(Source::Handlers).is_some() {
            return Ok(ended.t);
        }
        let what = format!("the target to finish handling the {name}'s disconnect");
        self.recorder
            .wait(0, patience, &what, |event| {
                matches!(&event.fact, Fact::ServerHandled(handled)
                    if handled.event == "disconnect" && handled.sid == session)
            })
            .await?;
        Ok(ended.t)
    }

    /// Puts a player's page into the background.
    pub(super) async fn background(&mut self, background: &Background) -> Result<(), PlayerError> {
        let name = background.player;
        let hidden = self.player(name).go_to_background(background.how).await?;
        self.hidden.insert(name, hidden);
        Ok(())
    }

    /// Brings a player's page back to the front.
    pub(super) async fn foreground(&mut self, name: PlayerName) -> Result<(), PlayerError> {
        match self.hidden.remove(&name) {
            Some(hidden) => self.player(name).come_back(hidden).await,
            None => Ok(()),
        }
    }

    /// Breaks the peer connections of a player's page.
    pub(super) async fn sever(&self, name: PlayerName) -> Result<(), PlayerError> {
        let severed: Severed = self.ask(name, json!({"cmd": "sever"})).await?;
        match severed.connections {
            0 => Err(PlayerError::Missed(format!(
                "there is nothing to sever: the {name}'s page has no open peer connection"
            ))),
            connections => {
                self.recorder
                    .record_for(name.as_str(), Fact::Severed { connections });
                Ok(())
            }
        }
    }

    /// Players who are there with their page in front of them, survivor first.
    pub(super) fn in_front(&self) -> Vec<PlayerName> {
        let mut names = self.present();
        names.retain(|name| !self.hidden.contains_key(name));
        names
    }
}
