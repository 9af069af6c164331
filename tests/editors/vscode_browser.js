// VS Code in Chromium: a page of it, and what can be seen and done there. Waits are for something seen;
// the limit is what a failure takes.
const path = require('node:path');
const { chromium } = require('playwright-core');

const LIMIT_MS = 30000;
/** The same for the first thing that a window shows of an extension, on a busy machine. */
const START_MS = 90000;
const ARGUMENTS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];

// Opens VS Code at `port` with the folder `project`. `payload` is a list of pairs, as VS Code takes it.
async function open(port, project, profile, payload, prepare = async () => {}) {
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM, headless: true, viewport: { width: 1200, height: 700 }, args: ARGUMENTS });
  browser.setDefaultTimeout(LIMIT_MS);
  const page = browser.pages()[0];
  await prepare(page);
  const query = `folder=${project}&payload=${encodeURIComponent(JSON.stringify(payload))}`;
  await page.goto(`http://127.0.0.1:${port}/?${query}`, { timeout: START_MS });
  return { browser, page };
}

// Until `condition` gives something true, and gives that.
async function until(what, condition, limit = LIMIT_MS) {
  const deadline = Date.now() + limit;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`waited ${limit / 1000} s in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

// The ghost text on the screen, pieces of one line joined.
function ghost(page) {
  return page.evaluate(() => {
    const text = (element) => element.innerText.replace(/[\u00a0\u00b7]/g, ' ').replace(/[\u200b\u200c]/g, '');
    const first = [...document.querySelectorAll('.ghost-text-decoration, .ghost-text-decoration-preview')].map(text).join('');
    const more = [...document.querySelectorAll('.suggest-preview-text .view-line')].map(text);
    return [first, ...more].join('\n');
  });
}

// What the status bar says of Hearth, for eyes and for a screen reader.
function status(page) {
  return page.evaluate(() => {
    const item = [...document.querySelectorAll('.statusbar-item')].find((item) => item.id.includes('hearth.status'));
    return item ? `${item.innerText.trim()} | ${item.querySelector('a')?.getAttribute('aria-label') ?? item.getAttribute('aria-label')}` : '';
  });
}

// Messages that popped up. One that is going away has no text any more.
async function toasts(page) {
  const texts = await page.locator('.notification-toast').allInnerTexts();
  return texts.filter((text) => text !== '');
}

// Presses a key that opens the box for quick input, fills it, and chooses a row that it finds. A page that is
// just opening takes the focus when it is ready, and with it the box away: then again.
async function pick(page, key, text, row) {
  for (let left = 5; ; left--) {
    await page.keyboard.press(key);
    try {
      await page.locator('.quick-input-widget input[type="text"]').fill(text, { timeout: 3000 });
      await page.locator('.quick-input-list .monaco-list-row').locator(row).first().click({ timeout: 3000 });
      return;
    } catch (error) {
      if (left === 0) throw error;
    }
  }
}

// Runs a command of the palette by its title. It need not be the first row: of those that begin alike the one
// that was used last is.
async function palette(page, title) {
  const exactly = new RegExp(`^${title.replace(/[.*+?()[\]]/g, '\\$&')}$`);
  await pick(page, 'F1', `>${title}`, page.locator('.label-name', { hasText: exactly }));
}

// Opens a file of the project with the cursor at a line and column, both counted from 1.
async function go(page, file, line, column) {
  await pick(page, 'Control+p', `${file}:${line}:${column}`, page.locator('.label-name', { hasText: path.basename(file) }));
  await page.locator(`.editor-instance .monaco-editor.focused[data-uri$="/${file}"]`).waitFor();
  // The column is shown as it looks, with wide tabs.
  await page.getByText(new RegExp(`^Ln ${line}, Col `)).waitFor();
}

module.exports = { START_MS, ghost, go, open, palette, status, toasts, until };
