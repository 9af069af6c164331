--- How long a suggestion is on the screen, which only the editor knows: `hearth/didShow`.
---
--- Neovim draws ghost text by itself and tells nobody; so it is looked for where Neovim draws it,
--- whenever that may have changed.
local work = require('hearth.work')

local M = {}

local NAMESPACE = vim.api.nvim_create_namespace('nvim.lsp.inline_completion')

--- The suggestion that is on the screen: all of it as it came, and since when, in milliseconds.
---@type { buf: integer, text: string, since: number }?
local shown

---@return number
local function now()
  return vim.uv.hrtime() / 1e6
end

--- The ghost text in a buffer; empty without any.
---@param buf integer
---@return string
local function drawn(buf)
  local lines = {}
  for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(buf, NAMESPACE, 0, -1, { details = true })) do
    for _, line in ipairs({ mark[4].virt_text or {}, unpack(mark[4].virt_lines or {}) }) do
      lines[#lines + 1] = line[1] and line[1][1]
    end
  end
  return table.concat(lines, '\n')
end

--- Looks at a buffer, and tells the server of a suggestion that has gone from it. One that is typed along
--- is the same suggestion.
---@param client vim.lsp.Client
---@param buf integer
local function look(client, buf)
  local text = vim.api.nvim_buf_is_loaded(buf) and drawn(buf) or ''
  if shown and shown.buf == buf and (text == '' or not vim.endswith(shown.text, text)) then
    client:notify('hearth/didShow', { milliseconds = math.floor(now() - shown.since) })
    shown = nil
  end
  -- Where another server suggests as well, nobody knows whose it is.
  local sources = vim.lsp.get_clients({ bufnr = buf, method = 'textDocument/inlineCompletion' })
  if text ~= '' and not shown and #sources == 1 then
    shown = { buf = buf, text = text, since = now() }
  end
end

--- Looks from now on at every buffer that the server is attached to.
---@param group integer
function M.watch(group)
  local function soon(event)
    local client = work.client(event.buf)
    if client and not client:is_stopped() then
      -- Neovim draws at the same events.
      vim.schedule(function() look(client, event.buf) end)
    end
  end
  vim.api.nvim_create_autocmd({ 'CursorMovedI', 'TextChangedI', 'TextChangedP', 'InsertLeave', 'BufLeave' }, {
    group = group,
    callback = soon,
  })
  vim.api.nvim_create_autocmd('LspRequest', {
    group = group,
    callback = function(event)
      local request = event.data.request
      if request.method == 'textDocument/inlineCompletion' and request.type == 'complete' then
        soon(event)
      end
    end,
  })
end

return M
