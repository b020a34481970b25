//! What browsers are asked for: the capabilities of their sessions.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::browser::{PAGE_HOST, profile};
use super::deadline;
use crate::provision::Browser;
use crate::spec::BrowserKind;

/// The size of each browser's window, in CSS pixels.
const WINDOW: (u32, u32) = (1280, 960);

/// Set to anything, Chromium is started without its own sandbox. For containers, which are one.
const NO_SANDBOX: &str = "GYMCHECK_NO_SANDBOX";

/// Set to anything, Chromium has WebGL, painted by the processor.
const WEBGL: &str = "GYMCHECK_WEBGL";

/// Of a browser on this machine, whose folder is `home`; `page` is where the name of its pages leads.
pub(super) fn here(
    browser: &Browser,
    home: &Path,
    headed: bool,
    page: Option<SocketAddr>,
) -> Map<String, Value> {
    match browser.kind {
        BrowserKind::Chrome => {
            let mut arguments = chrome_arguments(headed);
            let page = page.map_or_else(String::new, |page| format!("MAP {PAGE_HOST}:80 {page}, "));
            arguments.push(format!(
                "--host-resolver-rules={page}MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
            ));
            // A proxy, of which the environment or the desktop tells, would resolve names for it.
            arguments.push("--no-proxy-server".to_owned());
            arguments.push(format!("--user-data-dir={}", profile(home).display()));
            if !headed {
                let agent = chrome_user_agent(&browser.version);
                arguments.push(format!("--user-agent={agent}"));
            }
            if goes_without_sandbox(
                nix::unistd::geteuid().is_root(),
                std::env::var_os(NO_SANDBOX),
            ) {
                arguments.push("--no-sandbox".to_owned());
            }
            chrome(json!({"binary": browser.program, "args": arguments}))
        }
        BrowserKind::Firefox => {
            let mut preferences = firefox_preferences();
            // All that it asks for is at an address: names lead nowhere.
            preferences["network.dns.disabled"] = true.into();
            // And no proxy, of which the environment or the desktop tells, resolves them for it.
            preferences["network.proxy.type"] = 0.into();
            firefox(json!({
                "binary": browser.program,
                "args": firefox_arguments(headed),
                "prefs": preferences,
            }))
        }
    }
}

/// Of a browser at a node of a grid. Its node says where its program is, and what it needs there; and its page is
/// where the node finds this machine, by a name perhaps.
pub(super) fn on_grid(kind: BrowserKind, headed: bool) -> Map<String, Value> {
    let mut capabilities = match kind {
        BrowserKind::Chrome => chrome(json!({"args": chrome_arguments(headed)})),
        BrowserKind::Firefox => firefox(json!({
            "args": firefox_arguments(headed),
            "prefs": firefox_preferences(),
        })),
    };
    // Where no way leads to the page, its load is given up: until then a driver does nothing else, not even end.
    let patience = u64::try_from(deadline::REACHED.as_millis()).unwrap_or(u64::MAX);
    capabilities.insert("timeouts".to_owned(), json!({"pageLoad": patience}));
    capabilities
}

fn chrome(options: Value) -> Map<String, Value> {
    capabilities("chrome", "goog:chromeOptions", options)
}

fn firefox(options: Value) -> Map<String, Value> {
    capabilities("firefox", "moz:firefoxOptions", options)
}

fn capabilities(browser: &str, name: &str, options: Value) -> Map<String, Value> {
    [
        ("browserName".to_owned(), browser.into()),
        (name.to_owned(), options),
    ]
    .into_iter()
    .collect()
}

/// What Chromium calls itself with a window. Headless, it calls itself by a name that entry screenings do not know.
pub(super) fn chrome_user_agent(version: &str) -> String {
    let major = version.split('.').next().unwrap_or_default();
    format!(
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{major}.0.0.0 \
         Safari/537.36"
    )
}

fn chrome_arguments(headed: bool) -> Vec<String> {
    let mut arguments: Vec<String> = [
        // What keeps it from talking to anybody but this machine, with the names below; and from loading pages
        // of its own, for suggestions that nobody asks for, which takes as long as all the rest of its start; nor
        // does it start a process for the next site, since a player stays on one.
        "--disable-features=WebRtcHideLocalIpsWithMdns,MediaRouter,OptimizationHints,Translate,\
         WebUIOmniboxPopup,WebUIOmniboxAimPopup,SpareRendererForSitePerProcess",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-domain-reliability",
        "--disable-sync",
        "--disable-quic",
        "--disable-breakpad",
        "--disable-default-apps",
        "--disable-client-side-phishing-detection",
        "--no-pings",
        "--no-first-run",
        "--no-default-browser-check",
        "--password-store=basic",
        "--use-mock-keychain",
        "--mute-audio",
        "--disable-gpu",
    ]
    .map(str::to_owned)
    .to_vec();
    arguments.push(format!("--window-size={},{}", WINDOW.0, WINDOW.1));
    if !headed {
        arguments.push("--headless=new".to_owned());
    }
    // Without a graphics card, games paint their canvas for less than half of what WebGL takes.
    if !is_wanted(std::env::var_os(WEBGL)) {
        arguments.push("--disable-software-rasterizer".to_owned());
    }
    arguments
}

/// Chromium refuses its sandbox to root, and cannot set it up where user namespaces are forbidden, as
/// containers forbid them: there the one who made the container says so.
fn goes_without_sandbox(is_root: bool, wanted: Option<OsString>) -> bool {
    is_root || is_wanted(wanted)
}

/// Whether a variable is set to anything.
fn is_wanted(value: Option<OsString>) -> bool {
    value.is_some_and(|value| !value.is_empty())
}

fn firefox_arguments(headed: bool) -> Vec<String> {
    let mut arguments = vec![
        format!("--width={}", WINDOW.0),
        format!("--height={}", WINDOW.1),
    ];
    if !headed {
        arguments.push("-headless".to_owned());
    }
    arguments
}

/// Preferences that let two Firefoxes on one machine connect, and keep them from talking to
/// anybody else.
fn firefox_preferences() -> Value {
    json!({
        "media.peerconnection.ice.loopback": true,
        "media.peerconnection.ice.obfuscate_host_addresses": false,
        "network.dns.disablePrefetch": true,
        "network.predictor.enabled": false,
        "network.prefetch-next": false,
        "network.captive-portal-service.enabled": false,
        "network.connectivity-service.enabled": false,
        "network.trr.mode": 5,
        "app.update.enabled": false,
        "app.normandy.enabled": false,
        "app.shield.optoutstudies.enabled": false,
        "browser.safebrowsing.downloads.enabled": false,
        "browser.safebrowsing.malware.enabled": false,
        "browser.safebrowsing.phishing.enabled": false,
        "browser.search.update": false,
        "browser.topsites.contile.enabled": false,
        "browser.newtabpage.activity-stream.feeds.topsites": false,
        "datareporting.healthreport.uploadEnabled": false,
        "datareporting.policy.dataSubmissionEnabled": false,
        "dom.push.connection.enabled": false,
        "extensions.update.enabled": false,
        "extensions.systemAddon.update.enabled": false,
        "extensions.getAddons.cache.enabled": false,
        "geo.enabled": false,
        "media.gmp-manager.updateEnabled": false,
        "media.gmp-provider.enabled": false,
        "messaging-system.rsexperimentloader.enabled": false,
        "security.remote_settings.intermediates.enabled": false,
        "security.remote_settings.crlite_filters.enabled": false,
        "services.settings.server": "http://127.0.0.1:1/",
        "toolkit.telemetry.enabled": false,
        "toolkit.telemetry.unified": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_of_this_machine_ask_no_proxy_and_those_of_a_grid_as_their_node_does() {
        let asked = |kind: BrowserKind| {
            let browser = Browser {
                kind,
                program: "/browser".into(),
                version: "156.0".to_owned(),
                driver: "/driver".into(),
                driver_version: "156.0".to_owned(),
            };
            let here = here(&browser, Path::new("/home"), false, None);
            let told = |capabilities| Value::Object(capabilities).to_string();
            (told(here), told(on_grid(kind, false)))
        };
        let (here, on_grid) = asked(BrowserKind::Chrome);
        assert!(here.contains("\"--no-proxy-server\"") && !on_grid.contains("proxy"));
        let (here, on_grid) = asked(BrowserKind::Firefox);
        assert!(here.contains("\"network.proxy.type\":0") && !on_grid.contains("proxy"));
    }

    #[test]
    fn the_sandbox_is_left_out_only_for_root_or_where_somebody_says_so() {
        assert!(!goes_without_sandbox(false, None));
        assert!(!goes_without_sandbox(false, Some("".into())));
        assert!(goes_without_sandbox(false, Some("1".into())));
        assert!(goes_without_sandbox(true, None));
        let container = include_str!("../../../ci/Containerfile");
        assert!(container.contains(&format!("{NO_SANDBOX}=1")));
    }
}
