/**
 * Starts Hearth's server and shows what it says of itself. All that is clever is in the server; what
 * VS Code does by itself (ghost text, Tab, partial acceptance) is left to VS Code.
 */
import * as vscode from 'vscode';
import { Server } from './server';
import { Settings } from './settings';
import { StatusItem } from './status';

let server: Server | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const settings = new Settings(context.extension);
  const status = new StatusItem();
  const log = vscode.window.createOutputChannel('Hearth', { log: true });
  const running = new Server(context, settings, status, log);
  server = running;

  const commands: Record<string, () => unknown> = {
    'hearth.showStatus': () => status.openMenu(),
    'hearth.pauseSuggestions': () => running.run('hearth.pause'),
    'hearth.resumeSuggestions': () => running.run('hearth.resume'),
    'hearth.acceptNextWord': () => vscode.commands.executeCommand('editor.action.inlineSuggest.acceptNextWord'),
    'hearth.acceptNextLine': () => vscode.commands.executeCommand('editor.action.inlineSuggest.acceptNextLine'),
    'hearth.restartServer': () => running.restart(),
    'hearth.showLog': () => log.show(true),
    'hearth.openSettings': () => vscode.commands.executeCommand('workbench.action.openSettings', `@ext:${context.extension.id}`),
    'hearth.openWalkthrough': () =>
      vscode.commands.executeCommand('workbench.action.openWalkthrough', `${context.extension.id}#start`, false),
  };
  context.subscriptions.push(
    status,
    log,
    ...Object.entries(commands).map(([name, run]) => vscode.commands.registerCommand(name, run)),
    // What the server takes at its start alone.
    vscode.workspace.onDidChangeConfiguration((change) => {
      if (settings.atStart.some((key) => change.affectsConfiguration(key))) {
        return running.restart();
      }
    }),
  );
  await running.start();
}

export async function deactivate(): Promise<void> {
  await server?.stop();
}
