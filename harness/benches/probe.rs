//! The frame rate of a page that plays, with the probe in it and without. `cargo bench --bench probe`

mod support;
#[path = "../tests/support/mod.rs"]
mod tests_support;

use std::time::Duration;

use fantoccini::wd::TimeoutConfiguration;
use support::{Table, median};
use tests_support::page::Page;
use tests_support::{Browser, Kind};

/// Both are played in turn, this many times, for so long each.
const TURNS: usize = 6;
const SECONDS: u32 = 4;

/// As a game does: a canvas that is painted anew in each frame, inputs on a data channel, a display that is
/// written to, a ping each second.
const GAME: &str = r#"<h1>A game</h1><div id="score"></div><canvas id="c" width="600" height="400"></canvas>
<script>
  const paint = document.getElementById("c").getContext("2d");
  const [a, b] = [new RTCPeerConnection(), new RTCPeerConnection()];
  a.onicecandidate = ({ candidate }) => candidate && b.addIceCandidate(candidate);
  b.onicecandidate = ({ candidate }) => candidate && a.addIceCandidate(candidate);
  const near = a.createDataChannel("game");
  b.ondatachannel = ({ channel }) => { channel.onmessage = ({ data }) => channel.send(data); };
  const up = new Promise((resolve) => { near.onopen = resolve; });
  (async () => {
    await a.setLocalDescription();
    await b.setRemoteDescription(a.localDescription);
    await b.setLocalDescription();
    await a.setRemoteDescription(b.localDescription);
  })();
  setInterval(() => { document.getElementById("score").textContent = performance.now() | 0; }, 100);
  window.play = async (seconds) => {
    await up;
    let frames = 0;
    const began = performance.now();
    return new Promise((resolve) => {
      const frame = (now) => {
        frames += 1;
        paint.clearRect(0, 0, 600, 400);
        for (let n = 0; n < 300; n += 1) {
          paint.fillStyle = `hsl(${(n * 7 + frames) % 360} 80% 50%)`;
          paint.fillRect((n * 37 + frames) % 600, (n * 53 + frames) % 400, 20, 20);
        }
        near.send(JSON.stringify({ frame: frames, input: frames % 4 }));
        if (now - began < seconds * 1000) requestAnimationFrame(frame);
        else resolve(frames / ((now - began) / 1000));
      };
      requestAnimationFrame(frame);
    });
  };
</script>"#;

async fn played(browser: &Browser, address: &str) -> f64 {
    browser.client.goto(address).await.expect("it loads");
    let play = format!(
        "const done = arguments[0]; play({SECONDS}).then(done, (error) => done(String(error)))"
    );
    let rate = browser.client.execute_async(&play, Vec::new()).await;
    rate.expect("it plays").as_f64().expect("a rate")
}

#[tokio::main]
async fn main() {
    let table = Table::new("frames a second of a page that plays (medians)");
    let page = Page::serve(GAME).await;
    for kind in [Kind::Chrome, Kind::Firefox] {
        let browser = Browser::start(kind).await;
        let patient = TimeoutConfiguration::new(Some(Duration::from_secs(60)), None, None);
        browser
            .client
            .update_timeouts(patient)
            .await
            .expect("it waits");
        let mut rates = [Vec::new(), Vec::new()];
        for _ in 0..TURNS {
            for (way, address) in [page.bare_url(), page.url()].iter().enumerate() {
                rates[way].push(played(&browser, address).await);
            }
        }
        browser.close().await;
        let rates = rates.map(|rates| median(&rates));
        let what = format!("frame rate in {kind}");
        table.ratio(&what, "1/s", ("bare", rates[0]), ("probe", rates[1]));
    }
}
