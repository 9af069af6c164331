/**
 * Starts Hearth's server and shows what it says of itself. All that is clever is in the server; what
 * VS Code does by itself (ghost text, Tab, partial acceptance) is left to VS Code.
 */
import * as vscode from 'vscode';
import { EgressPreview } from './egress';
import { find } from './program';
import { Server } from './server';
import { Settings } from './settings';
import { StatusItem } from './status';
import { askAnalysis, askInstruction, place } from './work';

let server: Server | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const settings = new Settings(context.extension);
  const status = new StatusItem();
  const log = vscode.window.createOutputChannel('Hearth', { log: true });
  const sent = new EgressPreview();
  const running = new Server(context, settings, status, log);
  server = running;

  const at = (run: (it: NonNullable<ReturnType<typeof place>>) => unknown) => {
    const it = place();
    return it && run(it);
  };
  const commands: Record<string, () => unknown> = {
    'hearth.showStatus': () => status.openMenu(),
    'hearth.pauseSuggestions': () => running.run('hearth.pause'),
    'hearth.resumeSuggestions': () => running.run('hearth.resume'),
    'hearth.rewriteSelection': () =>
      at(async (it) => {
        const instruction = await askInstruction();
        return instruction && running.work('Rewrite', 'hearth.refactor', { ...it, action: 'rewrite', instruction });
      }),
    'hearth.writeTests': () => at((it) => running.work('Generate tests', 'hearth.test', it)),
    'hearth.explainSelection': () => at((it) => running.work('Explain', 'hearth.explain', it)),
    'hearth.analyze': async () => {
      const question = await askAnalysis();
      return question && running.work('Analyze', 'hearth.analyzeCodebase', question);
    },
    'hearth.previewEgress': () => {
      const program = find(settings.serverPath, context.extensionPath);
      return program && sent.show(program, settings.machine());
    },
    'hearth.acceptNextWord': () => vscode.commands.executeCommand('editor.action.inlineSuggest.acceptNextWord'),
    'hearth.acceptNextLine': () => vscode.commands.executeCommand('editor.action.inlineSuggest.acceptNextLine'),
    'hearth.restartServer': () => running.restart(),
    'hearth.showLog': () => log.show(true),
    'hearth.openSettings': () => vscode.commands.executeCommand('workbench.action.openSettings', `@ext:${context.extension.id}`),
    'hearth.openWalkthrough': async () => {
      await vscode.commands.executeCommand('workbench.action.openWalkthrough', `${context.extension.id}#start`, false);
      status.tickSteps();
    },
  };
  context.subscriptions.push(
    status,
    log,
    sent,
    ...Object.entries(commands).map(([name, run]) => vscode.commands.registerCommand(name, run)),
    vscode.workspace.onDidGrantWorkspaceTrust(() => running.trusted()),
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
