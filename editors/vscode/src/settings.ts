/**
 * What the user set, in the two parts in which the server takes it: what decides where code is sent
 * goes with the server's start, the rest is asked for at any time.
 *
 * Only what is set is sent: a default of the editor's would hide what the user's own file says. Which
 * keys there are, and their scopes, is in the manifest, which is generated from the server's table.
 */
import * as vscode from 'vscode';

const SECTION = 'hearth.';

/** Dotted keys without `hearth.`, as the server takes them, and their values. */
export type Tree = Record<string, unknown>;

interface Property {
  scope: 'machine' | 'window';
}

export class Settings {
  /** The server's settings by full key. The manifest's first section is the extension's own. */
  private readonly properties: Record<string, Property>;

  constructor(extension: vscode.Extension<unknown>) {
    this.properties = extension.packageJSON.contributes.configuration[1].properties;
  }

  /** Full keys of what cannot change while the server runs. */
  get atStart(): string[] {
    return ['hearth.server.path', ...this.keys('machine')];
  }

  /** The program to start; empty where the user named none. */
  get serverPath(): string {
    return vscode.workspace.getConfiguration().inspect<string>('hearth.server.path')?.globalValue ?? '';
  }

  /** What only the user of this machine may set. A folder's settings never come here. */
  machine(): Tree {
    return this.tree('machine', (value) => value?.globalValue);
  }

  /** What a workspace may set as well. */
  workspace(): Tree {
    return this.tree('window', (value) => value?.workspaceValue ?? value?.globalValue);
  }

  private keys(scope: Property['scope']): string[] {
    return Object.keys(this.properties).filter((key) => this.properties[key]?.scope === scope);
  }

  private tree(scope: Property['scope'], pick: (value: Inspected) => unknown): Tree {
    const all = vscode.workspace.getConfiguration();
    const set = this.keys(scope)
      .map((key) => [key.slice(SECTION.length), pick(all.inspect(key))] as const)
      .filter(([, value]) => value !== undefined);
    return Object.fromEntries(set);
  }
}

type Inspected = ReturnType<vscode.WorkspaceConfiguration['inspect']>;
