// A browser that does what it is told: one JSON object a line comes in, one goes out. The story that is played with it is
// in tests/console.rs; here is only what a person can do with a page: look, click, type, press.

import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const require = createRequire(`${process.argv[2]}/`);
const { chromium } = require("playwright-core");

/** How long anything may take on a busy machine. */
const LIMIT = 40_000;

const browser = await chromium.launch({
  executablePath: process.argv[3],
  // No sandbox, since tests may run as root; nothing that asks for hosts of the browser's makers.
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});

let page;
let complaints = [];

/** The topmost thing that can be used: an open dialog, or the page. */
async function top() {
  const dialog = page.locator("dialog[open]");
  return (await dialog.count()) ? dialog : page.locator("body");
}

const deeds = {
  async open({ url, width = 1280, height = 900, scheme = "light" }) {
    await page?.context().close();
    const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, deviceScaleFactor: 1 });
    page = await context.newPage();
    page.setDefaultTimeout(LIMIT);
    page.on("pageerror", (error) => complaints.push(`error: ${error.message}`));
    page.on("console", (message) => {
      // An answer that is no success is logged by the browser itself; the story says which it expects.
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) complaints.push(message.text());
    });
    page.on("request", (request) => {
      if (!request.url().startsWith(url) && !request.url().startsWith("data:")) complaints.push(`asks ${request.url()}`);
    });
    await page.goto(url);
  },
  async look({ width, height, scheme }) {
    if (width) await page.setViewportSize({ width, height });
    if (scheme) await page.emulateMedia({ colorScheme: scheme });
  },
  async click({ name }) { await (await top()).getByRole("button", { name, exact: true }).click(); },
  async type({ label, text }) { await (await top()).getByLabel(label).pressSequentially(text); },
  async press({ key }) { await page.keyboard.press(key); },
  async keys({ text }) { await page.keyboard.type(text); },
  /** Waits until a text can be seen. */
  async see({ text, within = "body" }) { await page.locator(within).getByText(text).filter({ visible: true }).first().waitFor(); },
  async gone({ within }) { await page.locator(within).waitFor({ state: "hidden" }); },
  /** Presses Tab until what has the focus is called so, as a person without a mouse does. */
  async tab({ name }) {
    const passed = [];
    for (let presses = 0; presses < 60; presses += 1) {
      const focused = await called();
      if (focused === name) return passed;
      passed.push(focused);
      await page.keyboard.press("Tab");
    }
    throw new Error(`no Tab leads to ${name}, but to ${passed.join(", ")}`);
  },
  async focused() { return called(); },
  async text({ within }) { return page.locator(within).innerText(); },
  async count({ within }) { return page.locator(within).count(); },
  /** By how many pixels the page is wider than the window. */
  async overflow() { return page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth); },
  /** Everything that can be used and has no name, every picture without one, and every id that is there twice. */
  async nameless() { return page.evaluate(nameless); },
  /** Whether scripts that are not the page's own are kept from running. */
  async inject() {
    return page.evaluate(() => new Promise((told) => {
      document.addEventListener("securitypolicyviolation", () => told("refused"), { once: true });
      const script = document.createElement("script");
      script.setAttribute("src", "data:text/javascript,window.injected=1");
      script.addEventListener("load", () => told("ran"));
      try { document.body.append(script); } catch { told("refused"); }
    })).catch(() => "refused");
  },
  async shot({ file }) { await page.screenshot({ path: file, fullPage: true }); },
  async complaints() { const told = complaints; complaints = []; return told; },
};

const called = () => page.evaluate(() => {
  const element = document.activeElement;
  if (!element || element === document.body) return "";
  const by = element.getAttribute("aria-labelledby");
  return (element.getAttribute("aria-label") ?? (by && document.getElementById(by)?.textContent) ?? element.labels?.[0]?.textContent ?? element.textContent).trim();
});

function nameless() {
  const found = [];
  const seen = new Set();
  for (const element of document.querySelectorAll("[id]")) {
    if (seen.has(element.id)) found.push(`#${element.id} twice`);
    seen.add(element.id);
  }
  for (const element of document.querySelectorAll("button, input, a, progress, svg, section, [role], [tabindex='0']")) {
    if (!element.checkVisibility() || element.closest("[aria-hidden='true']")) continue;
    const by = element.getAttribute("aria-labelledby");
    const name = element.getAttribute("aria-label") ?? (by ? document.getElementById(by)?.textContent : null) ?? element.labels?.[0]?.textContent ?? element.textContent;
    const live = ["status", "alert", "log"].includes(element.getAttribute("role"));
    if (!name?.trim() && !live) found.push(element.outerHTML.slice(0, 100));
  }
  return found;
}

console.log(JSON.stringify({ ok: true }));
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  try {
    console.log(JSON.stringify({ ok: true, value: (await deeds[order.do](order)) ?? null }));
  } catch (error) {
    const seen = await page?.locator("body").innerText().catch(() => "") ?? "";
    console.log(JSON.stringify({ ok: false, error: `${error.message}\n--- the page ---\n${seen}` }));
  }
}
await browser.close();
