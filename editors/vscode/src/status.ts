/**
 * The status bar item: which model, how ready it is, whether suggestions are paused; in its tooltip
 * why there was none, and how long the last ones took. It never pops anything up by itself.
 */
import * as vscode from 'vscode';

/** `hearth/status`, as docs/protocol.md describes it. */
export interface ServerStatus {
  state: 'cold' | 'loading' | 'warm' | 'down';
  paused?: boolean;
  provider?: string;
  endpoint?: string;
  model?: string;
  mode?: string;
  message: string;
  lastNoSuggestion?: string;
  clouds?: string[];
}

/** How many of the last suggestions the tooltip times. */
const TIMED = 20;

/** A model's name is cut here, in characters: the bar is shared. */
const NAME = 28;

const STATES = {
  cold: ['circle-outline', 'Cold'],
  loading: ['loading~spin', 'Loading'],
  warm: ['circle-filled', 'Warm'],
  down: ['circle-slash', 'No model'],
} as const;

export class StatusItem implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem('hearth.status', vscode.StatusBarAlignment.Right, 100);
  private status: ServerStatus | undefined;
  /** Milliseconds from the request to each of the last suggestions, as the editor saw them. */
  private times: number[] = [];

  constructor() {
    this.item.name = 'Hearth';
    this.item.command = 'hearth.showStatus';
    this.starting();
    this.item.show();
  }

  dispose(): void {
    this.item.dispose();
  }

  starting(): void {
    this.without('$(loading~spin) Hearth', 'Hearth is starting.');
  }

  /** There is no program to start. */
  missing(): void {
    this.without('$(circle-slash) Hearth: not installed', 'There is no `hearth` program to start.', true);
  }

  /** The server ended so often that it is not started again. */
  stopped(ends: number): void {
    this.without('$(circle-slash) Hearth: stopped', `The server ended ${ends} times within three minutes and is not started again.`, true);
  }

  told(status: ServerStatus): void {
    this.status = status;
    const [icon, state] = STATES[status.state];
    const model = status.model && status.model.length > NAME ? `${status.model.slice(0, NAME)}…` : status.model;
    const mark = status.clouds?.length ? ' $(cloud)' : '';
    this.item.text = status.paused ? '$(debug-pause) Hearth: paused' : `$(${icon}) ${model ?? `Hearth: ${state.toLowerCase()}`}${mark}`;
    this.item.backgroundColor = status.state === 'down' && !status.paused ? warning() : undefined;
    this.describe();
    setContext({ running: true, paused: status.paused ?? false });
    this.tickSteps();
  }

  /** A suggestion came, so long after it was asked for. */
  suggested(ms: number): void {
    this.times = [...this.times, ms].slice(-TIMED);
    this.tickSteps();
    this.describe();
  }

  /**
   * Ticks the steps of the walkthrough that are done. VS Code ticks one when its key becomes true, but
   * never one whose key was true already when it first read the walkthrough: so each is true for a moment.
   */
  tickSteps(): void {
    const done = { warm: this.status?.state === 'warm', suggested: this.times.length > 0 };
    for (const [step, isDone] of Object.entries(done)) {
      if (isDone) {
        setContext({ [step]: true });
        setContext({ [step]: false });
      }
    }
  }

  /** What is to be said and done, when the item is clicked. */
  async openMenu(): Promise<void> {
    const paused = this.status?.paused ?? false;
    const entry = (label: string, command: string) => ({ label, command });
    const entries = [
      ...(this.status ? [paused ? entry('$(play) Resume Suggestions', 'hearth.resumeSuggestions') : entry('$(debug-pause) Pause Suggestions', 'hearth.pauseSuggestions')] : []),
      entry('$(debug-restart) Restart Server', 'hearth.restartServer'),
      entry('$(cloud-upload) What Would Be Sent', 'hearth.previewEgress'),
      entry('$(output) Show Log', 'hearth.showLog'),
      entry('$(gear) Open Settings', 'hearth.openSettings'),
      entry('$(question) Get Started', 'hearth.openWalkthrough'),
    ];
    const chosen = await vscode.window.showQuickPick(entries, { title: 'Hearth', placeHolder: this.status?.message ?? 'The server does not run.' });
    if (chosen) {
      await vscode.commands.executeCommand(chosen.command);
    }
  }

  /** The item while no server speaks. */
  private without(text: string, tooltip: string, wrong = false): void {
    this.status = undefined;
    this.item.text = text;
    this.item.tooltip = tooltip;
    this.item.backgroundColor = wrong ? warning() : undefined;
    this.item.accessibilityInformation = { label: tooltip };
    setContext({ running: false, paused: false });
  }

  private describe(): void {
    const status = this.status;
    if (!status) {
      return;
    }
    const [, state] = STATES[status.state];
    const lines = [`${status.paused ? 'Paused' : state}: ${status.message}`];
    if (status.mode) {
      lines.push(`Completes by ${status.mode}`);
    }
    lines.push(
      status.clouds?.length
        ? `Local; for larger work there is a cloud (${status.clouds.join(', ')}), which is asked with your consent alone`
        : 'Local: nothing is sent to a cloud, as none is set up',
    );
    const last = this.times.at(-1);
    if (last !== undefined) {
      lines.push(`Last suggestion after ${Math.round(last)} ms; median of the last ${this.times.length}: ${Math.round(median(this.times))} ms`);
    }
    if (status.lastNoSuggestion) {
      lines.push(`No suggestion: ${status.lastNoSuggestion}`);
    }
    const tooltip = new vscode.MarkdownString(undefined, true);
    tooltip.isTrusted = { enabledCommands: ['hearth.pauseSuggestions', 'hearth.resumeSuggestions', 'hearth.previewEgress', 'hearth.showLog'] };
    for (const line of lines) {
      // As text: a model server's words are not ours.
      tooltip.appendText(line).appendMarkdown('\n\n');
    }
    const [title, command] = status.paused ? ['Resume', 'hearth.resumeSuggestions'] : ['Pause', 'hearth.pauseSuggestions'];
    tooltip.appendMarkdown(`[${title}](command:${command}) · [What Would Be Sent](command:hearth.previewEgress) · [Log](command:hearth.showLog)`);
    this.item.tooltip = tooltip;
    this.item.accessibilityInformation = { label: `Hearth: ${lines.join('. ')}` };
  }
}

function median(times: number[]): number {
  const sorted = [...times].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

function warning(): vscode.ThemeColor {
  return new vscode.ThemeColor('statusBarItem.warningBackground');
}

/** What key bindings, the palette and the walkthrough ask for, as `hearth.NAME`. */
function setContext(values: Record<string, boolean>): void {
  for (const [name, value] of Object.entries(values)) {
    void vscode.commands.executeCommand('setContext', `hearth.${name}`, value);
  }
}
