/** What would be sent to a cloud, as `hearth egress preview` says it. Sends nothing. */
import { execFile } from 'node:child_process';
import * as vscode from 'vscode';
import type { Tree } from './settings';

/** More files than this have is not read by anybody. */
const OUTPUT = 16 * 1024 * 1024;

/** The scheme of the page that it is shown on. */
const SCHEME = 'hearth-egress';

/** Shows what would be sent on a page of its own. */
export class EgressPreview implements vscode.TextDocumentContentProvider, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<vscode.Uri>();
  private readonly registered = vscode.workspace.registerTextDocumentContentProvider(SCHEME, this);
  private text = '';

  readonly onDidChange = this.changed.event;

  dispose(): void {
    this.registered.dispose();
    this.changed.dispose();
  }

  provideTextDocumentContent(): string {
    return this.text;
  }

  /** Runs `program` on the active file, else on the folder, with the settings of this machine. */
  async show(program: string, settings: Tree): Promise<void> {
    const active = vscode.window.activeTextEditor?.document.uri;
    const folder = (active && vscode.workspace.getWorkspaceFolder(active)) ?? vscode.workspace.workspaceFolders?.[0];
    const path = active?.scheme === 'file' ? active.fsPath : folder?.uri.fsPath;
    if (!path) {
      return void vscode.window.showInformationMessage('Hearth: no file and no folder is open.');
    }
    const workspace = folder ? ['--workspace', folder.uri.fsPath] : [];
    const trusted = vscode.workspace.isTrusted ? ['--trusted'] : [];
    const set = assignments('', settings).flatMap((assignment) => ['--set', assignment]);
    const said = await new Promise<string>((resolve) =>
      execFile(program, [...set, 'egress', 'preview', ...trusted, ...workspace, path], { maxBuffer: OUTPUT }, (_, out, err) => resolve(out + err)),
    );
    this.text = `${path}\n\n${said}`;
    const page = vscode.Uri.from({ scheme: SCHEME, path: '/What would be sent' });
    this.changed.fire(page);
    await vscode.window.showTextDocument(page, { preview: true });
  }
}

/** `KEY=VALUE` for each setting. JSON is TOML where it holds no object and no null. */
function assignments(prefix: string, tree: Tree): string[] {
  return Object.entries(tree).flatMap(([key, value]) =>
    value !== null && typeof value === 'object' && !Array.isArray(value)
      ? assignments(`${prefix}${key}.`, value as Tree)
      : [`${prefix}${key}=${JSON.stringify(value)}`],
  );
}
