--- Hearth in Neovim: accepting ghost text, the status, pausing. What the server does when it is asked is
--- in `hearth.work`.
---
--- The suggestions themselves are Neovim's own (`vim.lsp.inline_completion`); nothing here draws.
local work = require('hearth.work')

local M = {}

---@class hearth.Status As docs/protocol.md describes `hearth/status`.
---@field state 'cold'|'loading'|'warm'|'down'
---@field paused? boolean
---@field model? string
---@field message string
---@field lastNoSuggestion? string

--- What the server says of itself; nil before it has, and after it has ended.
---@type hearth.Status?
local status

--- What is left of an item that was accepted in part, and where the cursor stood in which text then.
--- Neovim shows nothing until the next answer, and a key that is pressed meanwhile goes on with this.
---@type { buf: integer, changedtick: integer, row: integer, col: integer, text: string }?
local rest

--- A server that ends more often than this, within this time, stays down until `restart()`.
local STARTS, WITHIN_MS = 4, 3 * 60 * 1000

--- When the server ended by itself.
---@type integer[]
local ends = {}

--- Whether the server ends because of `restart()`.
local restarting = false

---@return hearth.Status?
function M.status()
  return status
end

local SIGNS = { cold = '○', loading = '◌', warm = '●', down = '⊘' }

--- A few words for a statusline: how ready the model is and its name, or what Hearth works on. Empty
--- without a server.
---@return string
function M.statusline()
  if not status then
    return ''
  end
  local under_way = work.under_way()
  if under_way ~= '' then
    return '… ' .. under_way
  end
  if status.paused then
    return '‖ Hearth: paused'
  end
  return ('%s %s'):format(SIGNS[status.state] or '?', status.model or 'Hearth: no model')
end

--- Takes what the server says of itself (`hearth/status`).
---@param said hearth.Status?
function M.told(said)
  status = said
  vim.api.nvim_exec_autocmds('User', { pattern = 'HearthStatus', data = said })
  vim.cmd.redrawstatus({ bang = true })
end

--- Suggests nothing until `resume()`.
function M.pause()
  work.run('hearth.pause')
end

function M.resume()
  work.run('hearth.resume')
end

--- Neovim forgets a client two turns of its loop after its end, and starts no other before.
local function start_again()
  vim.defer_fn(function() vim.lsp.enable('hearth') end, 100)
end

function M.restart()
  ends = {}
  if work.client() then
    restarting = true
    vim.lsp.enable('hearth', false)
  else
    vim.lsp.enable('hearth')
  end
end

--- Takes the end of the server. One that nobody asked for is answered with a new start.
---@param code integer
---@param signal integer
function M.ended(code, signal)
  rest = nil
  work.ended()
  M.told(nil)
  local asked = code == 0 and (signal == 0 or signal == 15)
  if restarting then
    restarting = false
    start_again()
  elseif not asked then
    local now = vim.uv.now()
    ends = vim.tbl_filter(function(at) return now - at < WITHIN_MS end, ends)
    ends[#ends + 1] = now
    if #ends <= STARTS then
      start_again()
    end
  end
end

--- Enables the server, and ghost text where it attaches; below Neovim 0.12, which has none, the popup.
---
--- To be called once, before files are opened; a plugin manager's `opts = {}` does it. The keys are
--- yours to map: |hearth-keys|.
function M.setup()
  local group = vim.api.nvim_create_augroup('hearth', {})
  vim.api.nvim_create_autocmd('LspProgress', {
    group = group,
    callback = function(event)
      local client = vim.lsp.get_client_by_id(event.data.client_id)
      if client and client.name == 'hearth' then
        work.progress(event.data.params)
        vim.cmd.redrawstatus({ bang = true })
      end
    end,
  })
  vim.api.nvim_create_autocmd('LspAttach', {
    group = group,
    callback = function(event)
      local attached = vim.lsp.get_client_by_id(event.data.client_id)
      if not attached or attached.name ~= 'hearth' then
        return
      end
      if vim.lsp.inline_completion then
        vim.lsp.inline_completion.enable(true, { bufnr = event.buf })
      else
        vim.lsp.completion.enable(true, attached.id, event.buf, {
          autotrigger = true,
          -- Neovim 0.11 takes the first word of an item alone, and its popup knows no lines.
          convert = function(item)
            return { word = (item.textEdit and item.textEdit.newText or item.label):match('^[^\n]*') }
          end,
        })
      end
    end,
  })
  -- Here and not where a server attaches: each start of one would add another.
  if vim.lsp.inline_completion then
    require('hearth.screen').watch(group)
  else
    -- By itself Neovim 0.11 asks behind a server's trigger characters alone.
    vim.api.nvim_create_autocmd('InsertCharPre', {
      group = group,
      callback = function(event)
        if vim.fn.pumvisible() == 0 and vim.fn.match(vim.v.char, '\\k') == 0 and work.client(event.buf) then
          vim.schedule(vim.lsp.completion.get)
        end
      end,
    })
  end
  vim.api.nvim_create_autocmd('InsertLeave', { group = group, callback = function() rest = nil end })
  vim.lsp.enable('hearth')
end

--- The item with its range grown over what was typed since the answer, or nil where that is not how
--- the item goes on.
---
--- Neovim (0.12) cuts what was typed along from the ghost text, and yet inserts the whole item in
--- front of it when it is accepted before the next answer: `let`, then Tab, gives `let x = 1;let`.
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

--- What would be new in the buffer at the cursor, of an item that `grown` gave.
---@param item vim.lsp.inline_completion.Item
---@return string
local function new_text(item)
  local col = vim.api.nvim_win_get_cursor(0)[2]
  local text = item.insert_text --[[@as string]]
  local after = vim.api.nvim_get_current_line():sub(col + 1, item.range.end_col)
  return text:sub(col - item.range.start_col + 1, #text - #after)
end

--- Inserts `part`, the beginning of `text`, at the cursor, and keeps the remainder for the next key.
---@param text string
---@param part string
local function insert(text, part)
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  local lines = vim.split(part, '\n')
  vim.api.nvim_buf_set_text(0, row - 1, col, row - 1, col, lines)
  row, col = row + #lines - 1, (#lines == 1 and col or 0) + #lines[#lines]
  vim.api.nvim_win_set_cursor(0, { row, col })
  local buf, changedtick = vim.api.nvim_get_current_buf(), vim.b.changedtick
  rest = { buf = buf, changedtick = changedtick, row = row, col = col, text = text:sub(#part + 1) }
end

--- The text that is left of an item accepted in part, if nothing was changed and the cursor is where that
--- left it.
---@return string?
local function left()
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  if rest and rest.text ~= '' and rest.buf == vim.api.nvim_get_current_buf()
    and rest.changedtick == vim.b.changedtick and rest.row == row and rest.col == col then
    return rest.text
  end
end

--- Accepts what `part` takes of the text that is shown.
---@param part fun(text: string): string
---@return boolean shown false where nothing is; for a mapping with `expr = true`
local function accept_part(part)
  local shown = vim.lsp.inline_completion.get({
    on_accept = function(item)
      local current = grown(item)
      if current and current.range and type(current.insert_text) == 'string' then
        local text = new_text(current)
        insert(text, part(text))
      end
    end,
  })
  if shown or not left() then
    return shown
  end
  -- A mapping with `expr = true` may not change the buffer. By the time that this may, another key can
  -- have come.
  vim.schedule(function()
    local text = left()
    if text then
      insert(text, part(text))
    end
  end)
  return true
end

--- Accepts what is shown; false where nothing is. For a mapping with `expr = true`.
---@return boolean
function M.accept()
  if vim.lsp.inline_completion.get({ on_accept = grown }) then
    return true
  end
  return left() ~= nil and accept_part(function(text) return text end)
end

--- What Tab is to do, for a mapping with `expr = true`: to the next place of a snippet, as Neovim's own
--- mapping does; else accept what is shown; else a tab.
---@return string
function M.tab()
  if vim.snippet.active({ direction = 1 }) then
    return '<Cmd>lua vim.snippet.jump(1)<CR>'
  end
  return M.accept() and '' or '<Tab>'
end

--- Accepts the next word of what is shown; false where nothing is.
---@return boolean
function M.accept_word()
  return accept_part(function(text)
    return vim.fn.matchstr(text, [[^\_s*\%(\k\+\|\%(\k\@!\S\)\+\|$\)]])
  end)
end

--- Accepts what is shown up to the end of a line; false where nothing is.
---@return boolean
function M.accept_line()
  return accept_part(function(text)
    return text:match('^\n?[^\n]*')
  end)
end

return M
