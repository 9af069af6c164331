/**
 * The server process and the connection to it. An end that nobody asked for is shown in the status
 * bar and answered with a new start, not with a pop-up.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import * as vscode from 'vscode';
import {
  CloseAction,
  ErrorAction,
  ExecuteCommandRequest,
  LanguageClient,
  RevealOutputChannelOn,
  WorkDoneProgress,
  type CloseHandlerResult,
  type LSPAny,
  type LanguageClientOptions,
} from 'vscode-languageclient/node';
import { preview } from './page';
import { find } from './program';
import type { Settings } from './settings';
import type { ServerStatus, StatusItem } from './status';
import { withInstruction } from './work';

/** A server that ends more often than this, within this time, stays down until the user starts it. */
const STARTS = 4;
const WITHIN_MS = 3 * 60 * 1000;

/** Commands of code actions and lenses that take their time, and what they do. */
const WORK: Record<string, string> = {
  'hearth.refactor': 'Change',
  'hearth.test': 'Generate tests',
  'hearth.explain': 'Explain',
};

/** A client whose own failures go to the log: what a user has to know is in the status bar. */
class QuietClient extends LanguageClient {
  override error(message: string, data?: unknown): void {
    super.error(message, data, false);
  }
}

export class Server {
  private client: LanguageClient | undefined;
  private process: ChildProcess | undefined;
  /** When the server ended by itself. */
  private ends: number[] = [];
  /** Starts and stops run one after the other. */
  private queue: Promise<void> = Promise.resolve();
  /** Ends the last start that was asked for, whether it is under way or still in the queue. */
  private lastStart = new AbortController();

  constructor(
    private readonly context: vscode.ExtensionContext,
    private readonly settings: Settings,
    private readonly status: StatusItem,
    private readonly log: vscode.LogOutputChannel,
  ) {}

  start(): Promise<void> {
    const signal = this.supersede();
    return this.enqueue(() => this.doStart(signal));
  }

  stop(): Promise<void> {
    this.supersede();
    return this.enqueue(() => this.doStop());
  }

  restart(): Promise<void> {
    const signal = this.supersede();
    return this.enqueue(async () => {
      await this.doStop();
      this.ends = [];
      await this.doStart(signal);
    });
  }

  /** Runs a command of the server's. */
  async run(command: string, ...args: LSPAny[]): Promise<void> {
    await this.client?.sendRequest(ExecuteCommandRequest.type, { command, arguments: args });
  }

  /** Runs a command that takes its time, with its progress where the user can see and end it. */
  async work(title: string, command: string, ...args: LSPAny[]): Promise<void> {
    const client = this.client;
    if (!client) {
      return;
    }
    const options = { location: vscode.ProgressLocation.Notification, cancellable: true, title: `Hearth: ${title}` };
    await vscode.window.withProgress(options, async (shown, token) => {
      const workDoneToken = randomUUID();
      const listening = client.onProgress(WorkDoneProgress.type, workDoneToken, (progress) => {
        if (progress.kind !== 'end' && progress.message) {
          shown.report({ message: progress.message });
        }
      });
      try {
        await client.sendRequest(ExecuteCommandRequest.type, { command, arguments: args, workDoneToken }, token);
      } catch (error) {
        if (!token.isCancellationRequested) {
          throw error;
        }
      } finally {
        listening.dispose();
      }
    });
  }

  /** Tells the server that the user has come to trust the workspace. */
  trusted(): Promise<void> {
    return this.enqueue(async () => {
      // Not awaited: it waits for a start that may never end.
      this.client?.sendNotification('hearth/didChangeTrust', { trusted: true }).catch((error) => this.log.error(error));
    });
  }

  /**
   * Ends the start before this one, which could hold up the queue for ever: a server need not answer
   * `initialize`.
   */
  private supersede(): AbortSignal {
    this.lastStart.abort();
    this.lastStart = new AbortController();
    return this.lastStart.signal;
  }

  private enqueue(step: () => Promise<void>): Promise<void> {
    this.queue = this.queue.then(step).catch((error) => this.log.error(error));
    return this.queue;
  }

  private async doStart(signal: AbortSignal): Promise<void> {
    if (signal.aborted) {
      return;
    }
    const program = find(this.settings.serverPath, this.context.extensionPath);
    if (!program) {
      this.status.missing();
      void this.tellMissing();
      return;
    }
    this.status.starting();
    const run = async () => {
      this.log.info(`starting ${program}`);
      this.process = spawn(program, ['serve', '--stdio']).on('error', (error) => this.log.error(error));
      return this.process;
    };
    const closed = () => (client === this.client ? this.closed() : { action: CloseAction.DoNotRestart, handled: true });
    const client: LanguageClient = new QuietClient('hearth', 'Hearth', run, this.options(closed));
    client.registerFeature({
      fillClientCapabilities: (capabilities) => {
        capabilities.experimental = { ...capabilities.experimental, hearthAsksInstruction: true };
      },
      initialize: () => {},
      getState: () => ({ kind: 'static' }),
      clear: () => {},
    });
    client.onNotification('hearth/status', (status: ServerStatus) => this.status.told(status));
    this.client = client;
    const started = client.start();
    await Promise.race([started, once(signal, 'abort')]);
    // A server that has answered by now is asked to end, which takes a client that is ready.
    if (client.isRunning()) {
      await started;
    }
  }

  private async doStop(): Promise<void> {
    const [client, process] = [this.client, this.process];
    this.client = undefined;
    if (client?.isRunning()) {
      await client.stop().catch((error) => this.log.error(error));
    }
    // One that was still starting cannot be asked to end.
    process?.kill();
    this.status.starting();
  }

  private options(closed: () => CloseHandlerResult): LanguageClientOptions {
    return {
      documentSelector: [{ scheme: 'file' }, { scheme: 'untitled' }],
      initializationOptions: () => ({ ...this.settings.machine(), workspaceTrust: vscode.workspace.isTrusted }),
      outputChannel: this.log,
      revealOutputChannelOn: RevealOutputChannelOn.Never,
      errorHandler: {
        error: () => ({ action: ErrorAction.Continue, handled: true }),
        closed,
      },
      // A server that ends meanwhile is started again when its end is noticed.
      initializationFailedHandler: (error) => {
        this.log.error(error);
        return false;
      },
      middleware: {
        window: {
          showDocument: async (params, token, next) => (await preview(params)) ?? next(params, token),
        },
        workspace: {
          configuration: ({ items }) =>
            items.map((item) => (item.section === 'hearth' ? this.settings.workspace() : null)),
        },
        // Code actions and lenses run their commands through here.
        executeCommand: async (command, args, next) => {
          const title = WORK[command];
          const complete = await withInstruction(command, args);
          if (!complete || !title) {
            return complete && next(command, complete);
          }
          return this.work(title, command, ...complete);
        },
        provideInlineCompletionItems: async (document, position, context, token, next) => {
          const asked = performance.now();
          const answer = await next(document, position, context, token);
          const items = Array.isArray(answer) ? answer : answer?.items;
          if (items?.length) {
            this.status.suggested(performance.now() - asked);
          }
          return answer;
        },
      },
    };
  }

  private closed(): CloseHandlerResult {
    const now = Date.now();
    this.ends = [...this.ends.filter((end) => now - end < WITHIN_MS), now];
    if (this.ends.length > STARTS) {
      this.status.stopped(this.ends.length);
      return { action: CloseAction.DoNotRestart, handled: true };
    }
    this.status.starting();
    return { action: CloseAction.Restart, handled: true };
  }

  private async tellMissing(): Promise<void> {
    const open = 'Open Settings';
    const named = this.settings.serverPath;
    const message = named
      ? `Hearth: ${named} (hearth.server.path) is not a program that can be started.`
      : 'Hearth: there is no `hearth` program on the PATH, and this build of the extension has none inside.';
    if ((await vscode.window.showErrorMessage(message, open)) === open) {
      await vscode.commands.executeCommand('hearth.openSettings');
    }
  }
}
