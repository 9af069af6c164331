/** Pages that the server shows: reports, explanations, edits that were not applied. */
import * as vscode from 'vscode';
import type { ShowDocumentParams, ShowDocumentResult } from 'vscode-languageclient/node';

/** The server's name for what it has not written to a file. */
const SCHEME = 'hearth';

/** Its pages are files of these names otherwise. */
const FILE = /[/\\]hearth[/\\]shown[/\\]hearth-[^/\\]*\.md$/;

/**
 * Shows a page of the server's as a Markdown preview beside the code; `undefined` for any other
 * document, and where no preview can be shown.
 */
export async function preview(params: ShowDocumentParams): Promise<ShowDocumentResult | undefined> {
  const uri = vscode.Uri.parse(params.uri);
  if (uri.scheme !== SCHEME && !FILE.test(uri.fsPath)) {
    return undefined;
  }
  try {
    await vscode.commands.executeCommand('markdown.showPreviewToSide', uri);
    return { success: true };
  } catch {
    return undefined;
  }
}
