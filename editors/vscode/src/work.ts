/**
 * Work on the item at the cursor or in the selection, from the palette; and the instruction that a
 * rewrite needs, which the server leaves to the editor to ask for.
 */
import * as vscode from 'vscode';
import type { LSPAny } from 'vscode-languageclient/node';

/** The place in the active editor, as the server takes it; `undefined` where there is none. */
export function place(): { [key: string]: LSPAny } | undefined {
  const editor = vscode.window.activeTextEditor;
  if (!editor) {
    void vscode.window.showInformationMessage('Hearth: no editor is active.');
    return undefined;
  }
  const { start, end } = editor.selection;
  const position = ({ line, character }: vscode.Position) => ({ line, character });
  return { uri: editor.document.uri.toString(), range: { start: position(start), end: position(end) } };
}

export function askInstruction(): Thenable<string | undefined> {
  return vscode.window.showInputBox({ title: 'Hearth: Rewrite', prompt: 'What is to change?', ignoreFocusOut: true });
}

/** The arguments of a command with the instruction that is missing; `undefined` where the user gave none. */
export async function withInstruction(command: string, args: any[]): Promise<any[] | undefined> {
  const [first, ...rest] = args;
  if (command !== 'hearth.refactor' || first?.action !== 'rewrite' || first.instruction) {
    return args;
  }
  const instruction = await askInstruction();
  return instruction ? [{ ...first, instruction }, ...rest] : undefined;
}

/** Questions that can be asked of a whole codebase, by the server's names for them. */
const ANALYSES: (vscode.QuickPickItem & { name?: string; asks?: string })[] = [
  { name: 'architecture', label: 'Architecture', detail: 'What it is made of, and how the parts depend on each other' },
  { name: 'risks', label: 'Risks', detail: 'What is likely to break, and where' },
  { name: 'dead-code', label: 'Dead code', detail: 'What nothing uses' },
  { name: 'onboarding', label: 'Onboarding', detail: 'Where to begin to read' },
  { name: 'where-is', label: 'Where is …', detail: 'Where something is done', asks: 'What are you looking for?' },
  { name: 'impact', label: 'What depends on …', detail: 'What a change would touch', asks: 'What is to change?' },
  { label: 'Ask …', detail: 'A question of your own', asks: 'What do you want to know?' },
];

/** What to find out about the codebase, as `hearth.analyzeCodebase` takes it. */
export async function askAnalysis(): Promise<{ [key: string]: LSPAny } | undefined> {
  const chosen = await vscode.window.showQuickPick(ANALYSES, { title: 'Hearth: Analyze the Codebase' });
  if (!chosen) {
    return undefined;
  }
  const kind = chosen.name ? { kind: chosen.name } : {};
  if (!chosen.asks) {
    return kind;
  }
  const question = await vscode.window.showInputBox({ title: `Hearth: ${chosen.label}`, prompt: chosen.asks, ignoreFocusOut: true });
  return question ? { ...kind, question } : undefined;
}
