// Runs beside the extension, in VS Code's extension host, with VS Code's own API. Started by
// vscode_host_page.js, which shows what is logged here and ends with what `run` comes to.
const vscode = require('vscode');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');

const LIMIT_MS = 30000;
const folder = vscode.workspace.workspaceFolders[0].uri;
const extension = vscode.extensions.getExtension('hearth.hearth');
const say = (...words) => console.log('vscode host:', ...words);

// Until `condition` gives something true, and gives that.
async function until(what, condition) {
  const deadline = Date.now() + LIMIT_MS;
  for (;;) {
    const found = await condition();
    if (found) return found;
    assert.ok(Date.now() < deadline, `waited ${LIMIT_MS / 1000} s in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

// Types `a` after the `let ` of line 1 and accepts what is suggested there, until that makes the line
// `expected`. VS Code does not ask twice about the same text, so each try types it anew.
async function accepted(document, expected) {
  const editor = await vscode.window.showTextDocument(document);
  await until(`${expected}, and not ${document.lineAt(1).text}`, async () => {
    const line = document.lineAt(1).range;
    await editor.edit((edit) => edit.replace(line, '    let '));
    const end = document.lineAt(1).range.end;
    editor.selection = new vscode.Selection(end, end);
    await vscode.commands.executeCommand('type', { text: 'a' });
    await vscode.commands.executeCommand('editor.action.inlineSuggest.trigger');
    await vscode.commands.executeCommand('editor.action.inlineSuggest.commit');
    return document.lineAt(1).text === expected;
  });
}

const file = () => vscode.workspace.openTextDocument(vscode.Uri.joinPath(folder, 'host.rs'));

const tests = {
  async 'every command that the manifest names exists'() {
    const commands = await vscode.commands.getCommands(true);
    const named = extension.packageJSON.contributes.commands.map(({ command }) => command);
    const accepted = 'hearth.accepted';
    assert.deepEqual([...named, accepted].filter((command) => !commands.includes(command)), []);
  },

  async 'declares what it does where a folder is not trusted, or not on this disk'() {
    const { untrustedWorkspaces, virtualWorkspaces } = extension.packageJSON.capabilities;
    assert.equal(untrustedWorkspaces.supported, 'limited');
    assert.match(untrustedWorkspaces.description, /nothing is compiled, run or sent to a cloud/);
    assert.equal(virtualWorkspaces.supported, false);
    assert.match(virtualWorkspaces.description, /this machine's disk/);
  },

  async 'what decides where code goes and what is run is set for a machine'() {
    const sections = extension.packageJSON.contributes.configuration;
    const properties = Object.assign({}, ...sections.map((section) => section.properties));
    const decides = Object.keys(properties).filter((key) =>
      /endpoint|api_key|command|consent|hosts|cloud|server\.path|privacy/.test(key) && !/exclude|debounce/.test(key));
    assert.ok(decides.length > 5, decides.join(' '));
    assert.deepEqual(decides.filter((key) => !/^machine/.test(properties[key].scope)), []);
  },

  async 'has a walkthrough whose pages and commands exist'() {
    const [walkthrough] = extension.packageJSON.contributes.walkthroughs;
    assert.deepEqual(walkthrough.steps.map((step) => step.id), ['model', 'suggestion', 'privacy']);
    const commands = await vscode.commands.getCommands(true);
    for (const step of walkthrough.steps) {
      assert.ok(fs.existsSync(path.join(extension.extensionPath, step.media.markdown)), step.media.markdown);
      for (const [, command] of step.description.matchAll(/\(command:([^)]+)\)/g)) {
        assert.ok(commands.includes(command), command);
      }
    }
  },

  async 'suggests in a file'() {
    const document = await file();
    await accepted(document, '    let answer = 42;');
    await vscode.commands.executeCommand('undo');
    assert.equal(document.lineAt(1).text, '    let a', 'undone in one step');
  },

  async 'suggests in a document without a file'() {
    const document = await vscode.workspace.openTextDocument({ language: 'rust', content: 'fn main() {\n    \n}\n' });
    await accepted(document, '    let answer = 42;');
  },

  async 'a folder cannot say where code is sent'() {
    const settings = vscode.workspace.getConfiguration('hearth');
    const written = JSON.parse(fs.readFileSync(path.join(folder.fsPath, '.vscode/settings.json'), 'utf8'));
    assert.ok(written['hearth.router.local_endpoint'] && written['hearth.server.path'], 'it tries to');
    assert.equal(settings.get('router.local_endpoint'), 'auto');
    assert.equal(settings.get('server.path'), '');
    await accepted(await file(), '    let answer = 42;');
  },

  async 'takes a changed setting of the folder at once'() {
    const enable = (enabled) => vscode.workspace.getConfiguration('hearth')
      .update('completion.enabled', enabled, vscode.ConfigurationTarget.Workspace);
    await enable(false);
    await accepted(await file(), '    let a');
    await enable(undefined);
    await accepted(await file(), '    let answer = 42;');
  },
};

exports.run = async () => {
  await extension.activate();
  for (const [name, test] of Object.entries(tests)) {
    await test().catch((error) => {
      say(`FAILED: ${name}: ${error.message}`);
      throw error;
    });
    say(name);
  }
};
