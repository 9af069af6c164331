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
