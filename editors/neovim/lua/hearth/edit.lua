--- Edits that Hearth asks Neovim to make (`workspace/applyEdit`).
---
--- Neovim itself drops an edit for a text that has changed since, and answers that it was made; and it
--- asks for a confirmation without showing of what. So both are done here: an outdated edit is
--- refused, and one that is to be confirmed is shown as a difference first.
local M = {}

--- Neovim tells the server of what is typed after this time at the latest; then the server can move
--- an edit that was refused onto the newer text.
local TOLD_MS = 200

local APPLY, DISCARD = 'Apply', 'Discard'

--- Ends the step that the calling handler is at, until `resume` is called.
---@param begin fun(resume: fun(result: any))
local function await(begin)
  local handler = coroutine.running()
  begin(function(result)
    vim.schedule(function() coroutine.resume(handler, result) end)
  end)
  return coroutine.yield()
end

---@param edit lsp.WorkspaceEdit
---@return lsp.TextDocumentEdit[]
local function documents(edit)
  return edit.documentChanges or {}
end

---@param edit lsp.WorkspaceEdit
local function outdated(edit)
  return vim.iter(documents(edit)):any(function(change)
    local document = change.textDocument
    return document.version ~= vim.NIL and document.version ~= vim.lsp.util.buf_versions[vim.uri_to_bufnr(document.uri)]
  end)
end

---@param edit lsp.WorkspaceEdit
local function to_be_confirmed(edit)
  return vim.iter(pairs(edit.changeAnnotations or {})):any(function(_, annotation)
    return annotation.needsConfirmation == true
  end)
end

--- Takes the annotations off: Neovim would ask about them once more.
---@param edit lsp.WorkspaceEdit
local function without_annotations(edit)
  edit.changeAnnotations = nil
  for _, change in ipairs(documents(edit)) do
    for _, text_edit in ipairs(change.edits) do
      text_edit.annotationId = nil
    end
  end
end

--- What an edit would change, as a unified difference.
---@param edit lsp.WorkspaceEdit
---@param encoding string
---@return string[]
local function difference(edit, encoding)
  local lines = {}
  for _, change in ipairs(documents(edit)) do
    local buf = vim.uri_to_bufnr(change.textDocument.uri)
    local before = vim.api.nvim_buf_get_lines(buf, 0, -1, false)
    local copy = vim.api.nvim_create_buf(false, true)
    vim.api.nvim_buf_set_lines(copy, 0, -1, false, before)
    vim.lsp.util.apply_text_edits(change.edits, copy, encoding)
    local after = vim.api.nvim_buf_get_lines(copy, 0, -1, false)
    vim.api.nvim_buf_delete(copy, { force = true })
    local text = function(all) return table.concat(all, '\n') .. '\n' end
    local path = vim.fn.fnamemodify(vim.uri_to_fname(change.textDocument.uri), ':.')
    vim.list_extend(lines, { '--- ' .. path, '+++ ' .. path })
    vim.list_extend(lines, vim.split(vim.diff(text(before), text(after)) --[[@as string]], '\n', { trimempty = true }))
  end
  return lines
end

--- Shows `lines` below the current window, until the function that is returned is called.
---@param lines string[]
---@return fun() close
local function show(lines)
  local buf = vim.api.nvim_create_buf(false, true)
  vim.api.nvim_buf_set_lines(buf, 0, -1, false, lines)
  vim.bo[buf].filetype, vim.bo[buf].modifiable, vim.bo[buf].bufhidden = 'diff', false, 'wipe'
  local height = math.min(#lines, math.floor(vim.o.lines / 2))
  local win = vim.api.nvim_open_win(buf, false, { split = 'below', height = height, style = 'minimal' })
  vim.cmd.redraw()
  return function()
    if vim.api.nvim_win_is_valid(win) then
      vim.api.nvim_win_close(win, true)
    end
  end
end

--- Takes `workspace/applyEdit`.
---@param params lsp.ApplyWorkspaceEditParams
---@param ctx lsp.HandlerContext
---@return lsp.ApplyWorkspaceEditResult
function M.apply(_, params, ctx)
  local client = assert(vim.lsp.get_client_by_id(ctx.client_id))
  local edit = params.edit
  local confirm = to_be_confirmed(edit)
  without_annotations(edit)
  if confirm and not outdated(edit) then
    local close = show(difference(edit, client.offset_encoding))
    local chosen = await(function(resume)
      vim.ui.select({ APPLY, DISCARD }, { prompt = params.label, kind = 'hearth' }, resume)
    end)
    close()
    if chosen ~= APPLY then
      return { applied = false, failureReason = 'it was declined' }
    end
  end
  if outdated(edit) then
    await(function(resume) vim.defer_fn(resume, TOLD_MS) end)
    return { applied = false, failureReason = 'the document has changed' }
  end
  local applied, why = pcall(vim.lsp.util.apply_workspace_edit, edit, client.offset_encoding)
  return { applied = applied, failureReason = why }
end

return M
