// Drives VS Code as a user would: real keys in a real window, and what stands on the screen and in the
// saved file afterwards. Started by tests/editors/vscode.
//
//   vscode.js PORT WORK SCRIPTED REAL
//
// VS Code runs at PORT with its data in WORK; SCRIPTED and REAL are the URLs of the model of
// vscode_script.json and of a real llama-server.
const fs = require('node:fs'), path = require('node:path');
const { isDeepStrictEqual } = require('node:util');
const { ghost, go, open, palette, status, toasts, until } = require('./vscode_browser.js');

const [port, work, scripted, real] = process.argv.slice(2);
const project = path.join(work, 'project');
const say = (...words) => console.log('vscode:', ...words);
/** Milliseconds from a key to the ghost text. */
const times = [];
let page;

const press = (key) => page.keyboard.press(key);
const type = (text) => page.keyboard.type(text, { delay: 20 });

function equal(what, found, expected) {
  if (!isDeepStrictEqual(found, expected)) {
    throw new Error(`${what}: expected ${JSON.stringify(expected)}, found ${JSON.stringify(found)}`);
  }
}

// Writes a file of the project and opens it with the cursor at its `|`.
async function edit(file, text) {
  const at = text.indexOf('|');
  fs.writeFileSync(path.join(project, file), text.replace('|', ''));
  const before = text.slice(0, at).split('\n');
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

// Saves, and compares the file, which has no `|` here.
async function saved(file, expected) {
  await press('Control+s');
  const read = () => fs.readFileSync(path.join(project, file), 'utf8');
  await page.locator(`.tab.active.dirty[data-resource-name="${file}"]`).waitFor({ state: 'detached' });
  equal(file, read(), expected);
}

// Names the model server in the settings of this machine.
function endpoint(url) {
  fs.writeFileSync(path.join(work, 'user/Machine/settings.json'), JSON.stringify({ 'hearth.router.local_endpoint': url }));
}

function statusSays(words) {
  return until(`the status ${words}`, async () => (await status(page)).includes(words));
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

const scenarios = {
  async 'appears, follows what is typed along, and Tab accepts it'() {
    await edit('whole.rs', 'fn main() {\n    |\n}\n');
    await expectGhost('let a', 'nswer = 42;');
    await expectGhost('ns', 'wer = 42;');
    await press('Tab');
    await noGhost();
    await saved('whole.rs', 'fn main() {\n    let answer = 42;\n}\n');
    await press('Control+z');
    await saved('whole.rs', 'fn main() {\n    let ans\n}\n');
  },

  async 'is accepted by word and by line'() {
    await edit('parts.rs', 'fn main() {\n    |\n}\n');
    await expectGhost('let a', 'nswer = 42;');
    await press('Control+ArrowRight');
    await until('a word', async () => (await ghost(page)) === ' = 42;');
    await press('Alt+End');
    await noGhost();
    await type('\nif ready {');
    await expectGhost('\n', 'first();\n        second();');
    await press('Alt+End');
    await until('the next line', async () => (await ghost(page)).includes('second();') && !(await ghost(page)).includes('first();'));
    await press('Escape');
    await noGhost();
    await saved('parts.rs', 'fn main() {\n    let answer = 42;\n    if ready {\n        first();\n    }\n}\n');
  },

  async 'is replaced when it is outdated, and gone after Escape'() {
    await edit('outdated.rs', 'fn main() {\n    |\n}\n');
    await expectGhost('let a', 'nswer = 42;');
    await expectGhost('b', 'acus = 7;');
    await press('Escape');
    await noGhost();
    await saved('outdated.rs', 'fn main() {\n    let ab\n}\n');
  },

  async 'keeps what stands right of the cursor'() {
    await edit('middle.rs', 'fn main() {\n    |\n}\n');
    await expectGhost('add(', 'left, right');
    await press('Tab');
    await noGhost();
    await saved('middle.rs', 'fn main() {\n    add(left, right)\n}\n');
  },

  async 'has several lines'() {
    await edit('lines.rs', 'fn main() {\n    |\n}\n');
    await type('if ready {');
    await expectGhost('\n', 'first();\n        second();');
    await press('Tab');
    await noGhost();
    await saved('lines.rs', 'fn main() {\n    if ready {\n        first();\n        second();\n    }\n}\n');
  },

  async 'is indented with tabs where the file is'() {
    await edit('tabs.rs', 'fn main() {\n\t|\n}\n');
    await type('while tabs {');
    await expectGhost('\n', 'first();\n        second();');
    await press('Tab');
    await noGhost();
    await saved('tabs.rs', 'fn main() {\n\twhile tabs {\n\t\tfirst();\n\t\tsecond();\n\t}\n}\n');
  },

  async 'ends lines as the file does'() {
    await edit('crlf.rs', 'fn main() {\r\n    |\r\n}\r\n');
    await type('if ready {');
    await expectGhost('\n', 'first();\n        second();');
    await press('Tab');
    await noGhost();
    await saved('crlf.rs', 'fn main() {\r\n    if ready {\r\n        first();\r\n        second();\r\n    }\r\n}\r\n');
  },

  async 'stands right on a line of wide characters'() {
    await edit('wide.rs', '// Größe: 𝕏\nfn main() {\n    /* 𝕏 ö 😀 */ |\n}\n');
    await expectGhost('let ö', 'l = "😀";');
    await press('Tab');
    await noGhost();
    await saved('wide.rs', '// Größe: 𝕏\nfn main() {\n    /* 𝕏 ö 😀 */ let öl = "😀";\n}\n');
  },

  async 'is asked for by a key'() {
    await edit('asked.rs', 'fn main() {\n    let a|\n}\n');
    equal('ghost text', await ghost(page), '');
    await press('Alt+\\');
    await until('the ghost text', async () => (await ghost(page)) === 'nswer = 42;');
    await press('Escape');
  },

  async 'pauses and resumes'() {
    await edit('paused.rs', 'fn main() {\n    |\n}\n');
    await palette(page, 'Hearth: Pause Suggestions');
    await statusSays('Hearth: paused');
    await type('let a');
    await statusSays('switched off');
    equal('ghost text', await ghost(page), '');
    await palette(page, 'Hearth: Resume Suggestions');
    await statusSays('coder');
    await expectGhost('n', 'swer = 42;');
    await press('Tab');
    await noGhost();
    await saved('paused.rs', 'fn main() {\n    let answer = 42;\n}\n');
  },

  async 'starts a killed server again'() {
    await edit('killed.rs', 'fn main() {\n    |\n}\n');
    await kill();
    await until('another server', async () => servers().length === 1);
    await statusSays('coder');
    await expectGhost('let a', 'nswer = 42;');
    await press('Escape');
    await saved('killed.rs', 'fn main() {\n    let a\n}\n');
  },

  async 'says when the server ends again and again, and starts it when asked'() {
    // The fifth end within three minutes; the first was above.
    for (let end = 2; end <= 5; end++) {
      await kill();
    }
    await statusSays('Hearth: stopped');
    await palette(page, 'Hearth: Restart Server');
    await statusSays('coder');
  },

  async 'asks a real model server'() {
    endpoint(real);
    await statusSays('bigram');
    await edit('real.rs', '// Größe: 𝕏\nfn add(left: i64, right: i64) -> i64 {\n    |\n}\n');
    await expectGhost('l', 'eft + right');
    await press('Tab');
    await noGhost();
    await saved('real.rs', '// Größe: 𝕏\nfn add(left: i64, right: i64) -> i64 {\n    left + right\n}\n');
  },

  async 'is quiet where no model answers'() {
    // Nothing listens at port 1.
    endpoint('http://127.0.0.1:1');
    await statusSays('Hearth: no model');
    await edit('down.rs', 'fn main() {\n    |\n}\n');
    await type('let a');
    await statusSays('No suggestion: ');
    equal('ghost text', await ghost(page), '');
    await saved('down.rs', 'fn main() {\n    let a\n}\n');
    say('the status:', await status(page));
  },
};

// VS Code makes what shows ghost text some time after it has opened the first editor: what is typed
// before is not asked about.
async function awaken() {
  await edit('awake.rs', 'fn main() {\n    |\n}\n');
  await until('the first ghost text', async () => {
    await type('let a');
    await page.waitForTimeout(300);
    if (await ghost(page)) return true;
    for (let key = 0; key < 5; key++) await press('Backspace');
    return false;
  });
  await press('Escape');
  await saved('awake.rs', 'fn main() {\n    let a\n}\n');
}

(async () => {
  endpoint(scripted);
  const window = await open(port, project, path.join(work, 'profile'), []);
  page = window.page;
  const only = process.env.ONLY;
  let name = 'starts';
  try {
    await page.locator('.monaco-workbench').waitFor({ timeout: 60000 });
    await statusSays('warm');
    say('the status:', await status(page));
    await awaken();
    for (name of Object.keys(scenarios).filter((name) => !only || name.includes(only))) {
      const began = Date.now();
      await scenarios[name]();
      equal('messages that popped up', await toasts(page), []);
      say(`${name} (${Date.now() - began} ms)`);
    }
    times.sort((a, b) => a - b);
    say(`from a key to its ghost text: median ${times[times.length >> 1]} ms, of ${times.length}, ${times[0]} to ${times.at(-1)} ms`);
  } catch (error) {
    console.error(`vscode: FAILED: ${name}: ${error.message}`);
    console.error('ghost text', JSON.stringify(await ghost(page)), 'status', await status(page), 'messages', await toasts(page));
    await page.screenshot({ path: path.join(work, 'failed.png') });
    process.exitCode = 1;
  }
  await window.browser.close();
})();
