// Drives VS Code as a user would: real keys in a real window, and what stands on the screen and in the
// saved file afterwards. Started by tests/editors/vscode.
//
//   vscode.js PORT WORK SCRIPTED REAL INSTANT
//
// VS Code runs at PORT with its data in WORK; SCRIPTED and REAL are the URLs of the model of
// script.json and of a real llama-server, INSTANT is the program of instant_server.rs.
const fs = require('node:fs'), path = require('node:path');
const { isDeepStrictEqual } = require('node:util');
const { START_MS, ghost, go, open, palette, status, toasts, until } = require('./vscode_browser.js');

const [port, work, scripted, real, instant] = process.argv.slice(2);
const project = path.join(work, 'project');
const say = (...words) => console.log('vscode:', ...words);
/** Milliseconds from a key to the ghost text. */
const times = [];
let page;

const press = (key) => page.keyboard.press(key);
const type = (text) => page.keyboard.type(text, { delay: 20 });

function equal(what, found, expected) {
  const same = (found, expected) => (expected instanceof RegExp ? expected.test(found) : isDeepStrictEqual(found, expected));
  const all = Array.isArray(found) && Array.isArray(expected) && found.length === expected.length;
  if (!(all ? found.every((one, index) => same(one, expected[index])) : same(found, expected))) {
    throw new Error(`${what}: expected ${JSON.stringify(expected)}, found ${JSON.stringify(found)}`);
  }
}

const scenarios = [];

// Something that a user does in `file`, whose text has the cursor at its `|`. `run` is given a function
// that saves the file and compares it, and gives the messages that must stand there in the end, if any.
function scenario(name, file, text, run) {
  scenarios.push({ name, file, text, run });
}

// Opens the file of a scenario.
async function edit({ file, text }) {
  const before = text.slice(0, text.indexOf('|')).split('\n');
  await go(page, file, before.length, before.at(-1).length + 1);
}

// Types, and awaits ghost text.
async function expectGhost(keys, expected) {
  await type(keys.slice(0, -1));
  const began = Date.now();
  await page.keyboard.type(keys.slice(-1));
  await until(`the ghost text ${JSON.stringify(expected)}`, async () => (await ghost(page)) === expected);
  times.push(Date.now() - began);
}

async function noGhost() {
  await until('no ghost text', async () => (await ghost(page)) === '');
}

async function saved(file, expected) {
  await press('Control+s');
  const read = () => fs.readFileSync(path.join(project, file), 'utf8');
  await page.locator(`.tab.active.dirty[data-resource-name="${path.basename(file)}"]`).waitFor({ state: 'detached' });
  equal(file, read(), expected);
}

// Writes the settings of this machine.
function machine(settings) {
  fs.writeFileSync(path.join(work, 'user/Machine/settings.json'), JSON.stringify(settings));
}

// Names the model server in them.
function endpoint(url) {
  machine({ 'hearth.router.local_endpoint': url });
}

function statusSays(words, limit) {
  return until(`the status ${words}`, async () => (await status(page)).includes(words), limit);
}

// The process ids of this VS Code's Hearth.
function servers() {
  const program = (pid) => { try { return fs.readlinkSync(`/proc/${pid}/exe`); } catch { return ''; } };
  return fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name)).filter((pid) => program(pid).startsWith(work)
    && path.basename(program(pid)) === 'hearth');
}

async function kill() {
  const [pid] = await until('one server', async () => servers().length === 1 && servers());
  process.kill(Number(pid), 'SIGKILL');
  await until('the end of the server', async () => !servers().includes(pid));
}

scenario('appears, follows what is typed along, and Tab accepts it', 'whole.rs', 'fn main() {\n    |\n}\n', async (saved) => {
  await expectGhost('let a', 'nswer = 42;');
  await expectGhost('ns', 'wer = 42;');
  await press('Tab');
  await noGhost();
  await saved('fn main() {\n    let answer = 42;\n}\n');
  await press('Control+z');
  await saved('fn main() {\n    let ans\n}\n');
});

scenario('is accepted by word and by line', 'parts.rs', 'fn main() {\n    |\n}\n', async (saved) => {
  await expectGhost('let a', 'nswer = 42;');
  await press('Control+ArrowRight');
  await until('a word', async () => (await ghost(page)) === ' = 42;');
  await press('Alt+End');
  await noGhost();
  await type('\nif ready {');
  await expectGhost('\n', 'first();\n        second();');
  await press('Alt+End');
  await until('the next line', async () => (await ghost(page)).includes('second();') && !(await ghost(page)).includes('first();'));
  await press('Alt+End');
  await noGhost();
  await saved('fn main() {\n    let answer = 42;\n    if ready {\n        first();\n        second();\n    }\n}\n');
});

scenario('is replaced when it is outdated, and gone after Escape', 'outdated.rs', 'fn main() {\n    |\n}\n', async (saved) => {
  await expectGhost('let a', 'nswer = 42;');
  await expectGhost('b', 'acus = 7;');
  await press('Escape');
  await noGhost();
  await saved('fn main() {\n    let ab\n}\n');
});

scenario('keeps what stands right of the cursor', 'middle.rs', 'fn main() {\n    |\n}\n', async (saved) => {
  await expectGhost('add(', 'left, right');
  await press('Tab');
  await noGhost();
  await saved('fn main() {\n    add(left, right)\n}\n');
});

scenario('has several lines', 'lines.rs', 'fn main() {\n    |\n}\n', async (saved) => {
  await type('if ready {');
  await expectGhost('\n', 'first();\n        second();');
  await picture('suggestion');
  await press('Tab');
  await noGhost();
  await saved('fn main() {\n    if ready {\n        first();\n        second();\n    }\n}\n');
});

scenario('is indented with tabs where the file is', 'tabs.rs', 'fn main() {\n\tstart();\n\t|\n}\n', async (saved) => {
  await type('while tabs {');
  await expectGhost('\n', 'first();\n        second();');
  await press('Tab');
  await noGhost();
  await saved('fn main() {\n\tstart();\n\twhile tabs {\n\t\tfirst();\n\t\tsecond();\n\t}\n}\n');
});

scenario('ends lines as the file does', 'crlf.rs', 'fn main() {\r\n    |\r\n}\r\n', async (saved) => {
  await type('if ready {');
  await expectGhost('\n', 'first();\n        second();');
  await press('Tab');
  await noGhost();
  await saved('fn main() {\r\n    if ready {\r\n        first();\r\n        second();\r\n    }\r\n}\r\n');
});

scenario('stands right on a line of wide characters', 'wide.rs', '// Größe: 𝕏\nfn main() {\n    /* 𝕏 ö 😀 */ |\n}\n', async (saved) => {
  await expectGhost('let ö', 'l = "😀";');
  await press('Tab');
  await noGhost();
  await saved('// Größe: 𝕏\nfn main() {\n    /* 𝕏 ö 😀 */ let öl = "😀";\n}\n');
});

scenario('is asked for by a key', 'asked.rs', 'fn main() {\n    let a|\n}\n', async (saved) => {
  equal('ghost text', await ghost(page), '');
  await press('Alt+\\');
  await until('the ghost text', async () => (await ghost(page)) === 'nswer = 42;');
  await press('Escape');
});

scenario('pauses and resumes', 'paused.rs', 'fn main() {\n    |\n}\n', async (saved) => {
  await palette(page, 'Hearth: Pause Suggestions');
  await statusSays('Hearth: paused');
  await type('let a');
  await statusSays('switched off');
  equal('ghost text', await ghost(page), '');
  await palette(page, 'Hearth: Resume Suggestions');
  await statusSays('coder |');
  await expectGhost('n', 'swer = 42;');
  await press('Tab');
  await noGhost();
  await saved('fn main() {\n    let answer = 42;\n}\n');
});

const SUM = 'pub fn sum(all: &[u32]) -> u32 {\n    let mut total = 0;\n    for n in all {\n        total += n;\n    }\n    total\n}\n';
const SUMMED = 'pub fn sum(all: &[u32]) -> u32 {\n    all.iter().sum()\n}\n';
const TESTED = `${SUM}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_none() {
        assert_eq!(sum(&[]), 0);
    }

    #[test]
    fn of_some() {
        assert_eq!(sum(&[1, 2, 39]), 42);
    }
}
`;

// Answers the box that asks this.
async function told(question, words) {
  await page.locator('.quick-input-widget', { hasText: question }).locator('input[type="text"]').fill(words);
  await press('Enter');
}

// What is to change, in the box that asks for it.
async function instruct(instruction) {
  await palette(page, 'Hearth: Rewrite…');
  await told('What is to change?', instruction);
}

// A question about the whole codebase.
async function analyze(question) {
  await palette(page, 'Hearth: Analyze the Codebase…');
  await page.locator('.quick-input-list .monaco-list-row', { hasText: 'A question of your own' }).click();
  await told('What do you want to know?', question);
}

// Chooses a code action of the menu. It closes by itself when a code lens comes: then once more.
async function choose(action) {
  const row = page.locator('.action-widget .monaco-list-row', { hasText: action });
  await until(`the action ${action}`, async () => {
    if (!(await row.count())) await press('Control+.');
    await page.waitForTimeout(300);
    return (await row.count()) && row.click({ timeout: 1000 }).then(() => true, () => false);
  });
}

// The button of a message, pressed when it is there.
function answer(message, button) {
  return page.locator('.notification-toast', { hasText: message }).getByRole('button', { name: button }).click();
}

const editorText = () => page.evaluate(() => [...document.querySelectorAll('.monaco-editor.focused .view-line, .editor-instance .view-line')]
  .map((line) => line.innerText.replace(/\u00a0/g, ' ')).join('\n'));

scenario('shows a refactoring that was not compiled before it makes it, and undoes it in one step', 'loose.rs', `|${SUM}`, async (saved) => {
  await instruct('Use an iterator.');
  await answer('may the tests of', 'Run tests');
  const preview = page.locator('.bulk-edit-panel');
  await preview.waitFor();
  await picture('refactor');
  await preview.locator('.edit-checkbox').first().check();
  await preview.getByRole('button', { name: 'Apply' }).click();
  await preview.waitFor({ state: 'hidden' });
  await saved(SUMMED);
  await focus('loose.rs');
  await press('Control+z');
  await saved(SUM);
});

scenario('asks what to change when that action is chosen, and takes no answer for none', 'asking.rs', `|${SUM}`, async (saved) => {
  await choose('rewrite the function');
  await page.locator('.quick-input-widget', { hasText: 'What is to change?' }).waitFor();
  await press('Escape');
  await page.locator('.quick-input-widget', { hasText: 'What is to change?' }).waitFor({ state: 'hidden' });
  await choose('rewrite the function');
  await told('What is to change?', 'Use an iterator.');
  const preview = page.locator('.bulk-edit-panel');
  await preview.waitFor();
  await preview.getByRole('button', { name: 'Discard' }).click();
  await preview.waitFor({ state: 'hidden' });
  await page.locator('.notification-toast', { hasText: 'compiling' }).waitFor({ state: 'detached' });
  await saved(SUM);
  return [/not applied/];
});

scenario('writes tests into the file', 'src/lib.rs', `|${SUM}`, async (saved) => {
  await page.locator('.codelens-decoration a', { hasText: 'Generate tests' }).click();
  await until('the tests', async () => (await editorText()).includes('of_some'), 60000);
  await picture('tests');
  await saved(TESTED);
  await press('Control+z');
  await saved(SUM);
  return [/^Hearth: Tests for `sum`: parsed, formatted, compiled, tests passed/];
});

scenario('shows what it works on, and stops when told', 'src/lib.rs', `|${SUM}`, async (saved) => {
  await instruct('Take for ever.');
  await answer('the model reads', 'Cancel');
  await page.locator('.notification-toast', { hasText: 'the model reads' }).waitFor({ state: 'detached' });
  await saved(SUM);
});

scenario('explains an item on a page', 'src/lib.rs', `|${SUM}`, async (saved) => {
  await palette(page, 'Hearth: Explain');
  await inPreview('takes for granted that the sum fits');
  await focus('lib.rs');
  await palette(page, 'View: Close Editors in Other Groups');
  await saved(SUM);
});

scenario('shows how far an analysis is, stops it when told, and opens its report', 'src/lib.rs', `|${SUM}`, async (saved) => {
  await analyze('Take for ever.');
  await answer('the model reads', 'Cancel');
  await page.locator('.notification-toast', { hasText: 'the model reads' }).waitFor({ state: 'detached' });
  await analyze('Where are numbers added up?');
  await inPreview('adds up what it is given');
  await page.locator('.notification-toast', { hasText: 'Analyze' }).waitFor({ state: 'detached' });
  await picture('report');
  await focus('lib.rs');
  await palette(page, 'View: Close Editors in Other Groups');
  await saved(SUM);
});

scenario('says how it is in a tooltip and a menu', 'said.rs', 'fn main() {\n    |\n}\n', async (saved) => {
  await expectGhost('let a', 'nswer = 42;');
  await type(' quiet');
  await statusSays('No suggestion: ');
  const item = page.locator('.statusbar-item[id*="hearth.status"]');
  await item.hover();
  const tooltip = await until('the tooltip', async () => {
    const shown = await page.locator('.monaco-hover, .workbench-hover').allInnerTexts();
    return shown.map((text) => text.replace(/\u00a0/g, ' ')).find((text) => /Last suggestion after \d+ ms; median of the last \d+: \d+ ms/.test(text));
  });
  equal('tooltip', tooltip, /^Warm: .*coder[^]*Local: nothing is sent to a cloud[^]*No suggestion: [^]*Pause · What Would Be Sent · Log/);
  say('the tooltip:', JSON.stringify(tooltip));
  await item.click();
  await page.locator('.quick-input-list .monaco-list-row', { hasText: 'Pause Suggestions' }).waitFor();
  await press('Escape');
  await saved('fn main() {\n    let a quiet\n}\n');
});

scenario('shows a newcomer the first steps, and which are done', 'said.rs', 'fn main() {\n    |\n}\n', async () => {
  await palette(page, 'Hearth: Get Started');
  const steps = page.locator('.getting-started-step');
  await until('three steps', async () => (await steps.count()) === 3);
  const done = () => steps.evaluateAll((all) => all.map((step) => `${step.dataset.stepId.split('#').at(-1)} ${step.ariaChecked}`));
  await until('two done ones', async () => isDeepStrictEqual(await done(), ['model true', 'suggestion true', 'privacy false']))
    .catch(async (error) => { throw new Error(`${error.message}: ${await done()}`); });
  await palette(page, 'View: Close Editor');
  await steps.first().waitFor({ state: 'detached' });
});

scenario('says what would be sent to a cloud', 'src/lib.rs', `|${SUM}`, async (saved) => {
  await saved(SUM);
  machine({ 'hearth.router.local_endpoint': scripted, 'hearth.router.cloud': { far: { kind: 'anthropic', model: 'large' } } });
  await statusSays('there is a cloud (far)');
  await palette(page, 'Hearth: What Would Be Sent');
  await until('the manifest', async () => (await editorText()).includes('to https://api.anthropic.com (large)'));
  say('what would be sent:', JSON.stringify(await editorText()));
  await palette(page, 'View: Close Editor');
  endpoint(scripted);
  await statusSays('none is set up');
});

scenario('starts a killed server again', 'killed.rs', 'fn main() {\n    |\n}\n', async (saved) => {
  await kill();
  await until('another server', async () => servers().length === 1);
  await awaken();
  await expectGhost('let a', 'nswer = 42;');
  await press('Tab');
  await noGhost();
  await saved('fn main() {\n    let answer = 42;\n}\n');
});

scenario('says when the server ends again and again, and starts it when asked', 'stopped.rs', '|fn main() {}\n', async (saved) => {
  // The fifth end within three minutes; the first was above.
  for (let end = 2; end <= 5; end++) {
    await kill();
  }
  await statusSays('Hearth: stopped');
  await palette(page, 'Hearth: Restart Server');
  await statusSays('coder |');
  equal('servers', servers().length, 1);
});

scenario('starts another server when asked while one does not answer', 'mute.rs', '|fn main() {}\n', async () => {
  const [mute, pids] = [path.join(work, 'mute'), path.join(work, 'mute.pids')];
  fs.writeFileSync(mute, `#!/bin/sh\necho $$ >> '${pids}'\nwhile read -r _; do :; done\n`, { mode: 0o755 });
  const starts = () => (fs.existsSync(pids) ? fs.readFileSync(pids, 'utf8').trim().split('\n') : []);
  const running = () => starts().filter((pid) => fs.existsSync(`/proc/${pid}`));
  machine({ 'hearth.router.local_endpoint': scripted, 'hearth.server.path': mute });
  await until('a server that does not answer', () => starts().length === 1);
  await palette(page, 'Hearth: Restart Server');
  await until('another one in its place', () => starts().length === 2 && isDeepStrictEqual(running(), [starts()[1]]));
  equal('status', await status(page), /Hearth is starting/);
  endpoint(scripted);
  await statusSays('coder |');
  equal('servers', [servers().length, running().length], [1, 0]);
});

// From the last key of `let a` to the ghost text.
async function speed(of) {
  const times = [];
  for (let round = 0; round < 10; round++) {
    await type('let ');
    await page.waitForTimeout(400);
    const began = Date.now();
    await page.keyboard.type('a');
    await until('the ghost text', async () => (await ghost(page)) === 'nswer = 42;');
    times.push(Date.now() - began);
    await press('Tab');
    await noGhost();
    await press('Control+Shift+K');
    await press('Enter');
    await press('ArrowUp');
    await page.waitForTimeout(100);
  }
  times.sort((a, b) => a - b);
  say(`from a key to its ghost text, ${of}: median ${times[5]} ms of ${times.length}, ${times[0]} to ${times.at(-1)} ms`);
}

scenario('is fast', 'fast.rs', 'fn main() {\n|\n\n}\n', async () => {
  await speed('Hearth');
  machine({ 'hearth.router.local_endpoint': scripted, 'hearth.server.path': instant });
  await statusSays('Hearth is starting');
  await awaken();
  await speed('an instant server');
  endpoint(scripted);
  await statusSays('coder |');
});

scenario('asks a real model server', 'real.rs', '// Größe: 𝕏\nfn add(left: i64, right: i64) -> i64 {\n    |\n}\n', async (saved) => {
  endpoint(real);
  await statusSays('bigram |');
  // It says this after anything.
  await expectGhost('0 + ', 'left + right');
  await expectGhost('le', 'ft + right');
  await press('Tab');
  await noGhost();
  await saved('// Größe: 𝕏\nfn add(left: i64, right: i64) -> i64 {\n    0 + left + right\n}\n');
});

scenario('is quiet where no model answers', 'down.rs', 'fn main() {\n    |\n}\n', async (saved) => {
  // Nothing listens at port 1.
  endpoint('http://127.0.0.1:1');
  await statusSays('Hearth: no model');
  await type('let a');
  await statusSays('No suggestion: ');
  equal('ghost text', await ghost(page), '');
  await saved('fn main() {\n    let a\n}\n');
  say('the status:', await status(page));
});

// Waits for a page whose text has these words.
async function inPreview(words) {
  await until(`a page with ${words}`, async () => {
    for (const frame of page.frames()) {
      const text = await frame.locator('body').innerText({ timeout: 1000 }).catch(() => '');
      if (frame !== page.mainFrame() && text.includes(words)) return true;
    }
  });
}

// Back into the editor of a file.
async function focus(file) {
  await page.locator(`.tab[data-resource-name="${path.basename(file)}"]`).first().click();
}

// A picture for the README, where such are asked for.
async function picture(name) {
  if (process.env.HEARTH_PICTURES) {
    await page.screenshot({ path: path.join(process.env.HEARTH_PICTURES, `vscode-${name}.png`) });
  }
}

// VS Code makes what shows ghost text some time after it has opened the first editor, and knows of a
// server some time after that runs: what is typed before is not asked about. Leaves the file as it was.
async function awaken() {
  await until('the first ghost text', async () => {
    await type('let a');
    await page.waitForTimeout(300);
    if (await ghost(page)) return true;
    for (let key = 0; key < 5; key++) await press('Backspace');
    return false;
  });
  await press('Escape');
  for (let key = 0; key < 5; key++) await press('Backspace');
}

(async () => {
  fs.mkdirSync(path.join(project, 'src'));
  fs.writeFileSync(path.join(project, 'Cargo.toml'), '[package]\nname = "sums"\nedition = "2024"\n\n[workspace]\n');
  for (const { file, text } of scenarios) fs.writeFileSync(path.join(project, file), text.replace('|', ''));
  endpoint(scripted);
  const window = await open(port, project, path.join(work, 'profile'), []);
  page = window.page;
  try {
    await page.locator('.monaco-workbench').waitFor({ timeout: START_MS });
    await statusSays('Warm: ', START_MS);
    say('the status:', await status(page));
    await edit(scenarios[0]);
    await awaken();
    const some = new RegExp(process.env.HEARTH_EDITORS_ONLY ?? '');
    for (const [number, scenario] of scenarios.entries().filter(([_, { name }]) => some.test(name))) {
      const began = Date.now();
      try {
        await edit(scenario);
        const messages = await scenario.run((expected) => saved(scenario.file, expected));
        equal('messages that popped up', await toasts(page), messages ?? []);
        if (messages) await palette(page, 'Notifications: Clear All Notifications');
        say(`${scenario.name} (${Date.now() - began} ms)`);
      } catch (error) {
        await failed(scenario.name, error, number);
        for (let times = 0; times < 3; times++) await press('Escape');
      }
    }
    times.sort((a, b) => a - b);
    say(`from a key to its ghost text: median ${times[times.length >> 1]} ms, of ${times.length}, ${times[0]} to ${times.at(-1)} ms`);
  } catch (error) {
    await failed('starting', error, 'start');
  }
  await window.browser.close();
})();

async function failed(what, error, number) {
  process.exitCode = 1;
  console.error(`vscode: FAILED: ${what}: ${error.message}`);
  console.error('  on the screen: the ghost text', JSON.stringify(await ghost(page)), 'the status', await status(page), 'messages', await toasts(page));
  await page.screenshot({ path: path.join(work, `failed_${number}.png`) });
}
