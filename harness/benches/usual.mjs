// The same play in the usual style of such tests: two browsers, waits that poll, and on wish a fixed sleep before
// the survey is looked at, "to be sure".
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { chromium } = require(process.env.PLAYWRIGHT);
const { ADDRESS, CHROMIUM, RULES, SLEEP } = process.env;

const launch = () =>
  chromium.launch({
    executablePath: CHROMIUM,
    args: [
      "--no-sandbox",
      "--ignore-certificate-errors",
      "--disable-features=WebRtcHideLocalIpsWithMdns",
      `--host-resolver-rules=${RULES}`,
    ],
  });

const play = async (browser) => {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    userAgent:
      "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
  });
  const page = await context.newPage();
  page.setDefaultTimeout(120_000);
  await page.goto(ADDRESS);
  await page.click("#advanceButton");
  await page.click("#startButton");
  await page.waitForSelector("#sceneBody input[type=range]");
  return page;
};

const [survivors, partners] = await Promise.all([launch(), launch()]);
const [survivor] = await Promise.all([play(survivors), play(partners)]);
await partners.close();
await survivor.waitForTimeout(Number(SLEEP));
if (await survivor.isVisible("#partnerDisconnectedContainer")) throw new Error("an overlay");
for (const scale of await survivor.$$("#sceneBody input[type=range]")) await scale.click();
await survivor.fill("#sceneBody textarea", "We danced.");
await survivor.click("#advanceButton");
await survivor.waitForFunction(() => document.body.innerText.includes("The end"));
await survivors.close();
