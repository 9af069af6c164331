--- Accepts ghost text as it is shown.
---
--- Neovim (0.12) cuts what was typed along from the ghost text, and yet inserts the whole item in
--- front of it when it is accepted before the next answer: `let`, then Tab, gives `let x = 1;let`.
local M = {}

--- The item with its range grown over what was typed since the answer, or nil where that is not how
--- the item goes on.
---@param item vim.lsp.inline_completion.Item
---@return vim.lsp.inline_completion.Item?
local function grown(item)
  local range = item.range
  if not range or type(item.insert_text) ~= 'string' then
    return item
  end
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  local line = vim.api.nvim_get_current_line()
  if row - 1 ~= range.start_row or row - 1 ~= range.end_row then
    return nil
  end
  if not vim.startswith(item.insert_text, line:sub(range.start_col + 1, col)) then
    return nil
  end
  -- As Hearth ranges: to the cursor, or to the end of the line where something stands there.
  local end_col = line:find('%S', col + 1) and #line or col
  item.range = vim.range(range.buf, range.start_row, range.start_col, range.end_row, end_col)
  return item
end

--- Accepts what is shown; false where nothing is. For a mapping with `expr = true`.
---@return boolean
function M.accept()
  return vim.lsp.inline_completion.get({ on_accept = grown })
end

return M
