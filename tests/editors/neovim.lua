-- Drives Neovim as a user would, and ends it with 0 if all was as it must be. Started by
-- tests/editors/neovim with CASE, WORK (a folder) and the settings' folder in the environment.
--
-- Keys go through nvim_input and every wait goes back to the event loop, as ghost text hangs on
-- autocommands of insert mode. Waits are for something seen; the timeout is what a failure takes.

local TIMEOUT_MS = 10000
local work = assert(os.getenv('WORK'))
local file = work .. '/project/src/main.rs'
local seen = { status = {}, notified = {}, answered = 0, exit = nil }

local function say(format, ...)
  io.stdout:write('neovim: ', format:format(...), '\n')
end

local driver
local function pause()
  vim.defer_fn(function()
    local ok, err = coroutine.resume(driver)
    assert(ok, err)
  end, 2)
  coroutine.yield()
end

local function await(what, condition)
  local began = vim.uv.hrtime()
  while not condition() do
    if (vim.uv.hrtime() - began) / 1e6 > TIMEOUT_MS then
      error(('waited %d ms in vain for %s; mode %s, lines %s, seen %s'):format(TIMEOUT_MS, what,
        vim.api.nvim_get_mode().mode, vim.inspect(vim.api.nvim_buf_get_lines(0, 0, -1, false)), vim.inspect(seen)), 0)
    end
    pause()
  end
  return (vim.uv.hrtime() - began) / 1e6
end

local function equal(what, found, expected)
  if not vim.deep_equal(found, expected) then
    error(('%s: expected %s, found %s'):format(what, vim.inspect(expected), vim.inspect(found)), 0)
  end
  say('%s: %s', what, vim.inspect(found, { newline = ' ', indent = '' }))
end

-- What stands on the screen as ghost text.
local namespace = vim.api.nvim_create_namespace('nvim.lsp.inline_completion')
local function ghost()
  local lines = {}
  for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, { details = true })) do
    local details = mark[4]
    local text = ''
    for _, chunk in ipairs(details.virt_text or {}) do text = text .. chunk[1] end
    lines[#lines + 1] = text
    for _, line in ipairs(details.virt_lines or {}) do lines[#lines + 1] = line[1][1] end
  end
  return table.concat(lines, '\n')
end

-- Types, and awaits ghost text.
local function expect_ghost(keys, expected)
  local began = vim.uv.hrtime()
  vim.api.nvim_input(keys)
  await('the ghost text ' .. expected, function() return ghost() == expected end)
  say('after %s the ghost text %q, %d ms from the key', keys, expected, (vim.uv.hrtime() - began) / 1e6)
end

local function open(lines)
  vim.fn.mkdir(vim.fs.dirname(file), 'p')
  vim.fn.mkdir(work .. '/project/.git', 'p')
  vim.fn.writefile(lines, file)
  vim.cmd.edit(file)
  await('hearth to attach', function()
    local client = vim.lsp.get_clients({ bufnr = 0, name = 'hearth' })[1]
    return client and client.initialized
  end)
end

local function last_status()
  return seen.status[#seen.status] or {}
end

-- Ends the server, which must have found nothing to complain of.
local function close(log)
  vim.lsp.get_clients({ name = 'hearth' })[1]:stop()
  await('hearth to end', function() return seen.exit end)
  equal('hearth ended with code and signal', seen.exit, { 0, 0 })
  equal('notifications', seen.notified, {})
  equal('messages', vim.fn.execute('messages'), '')
  local complaints = {}
  local path = vim.lsp.log.get_filename()
  for _, line in ipairs(vim.fn.filereadable(path) == 1 and vim.fn.readfile(path) or {}) do
    if not line:find('^%[START%]') then complaints[#complaints + 1] = line end
  end
  log(complaints)
end

local cases = {}

function cases.ghost_text()
  open({ '// Größe: 𝕏', 'fn add(left: i64, right: i64) -> i64 {', '    ', '}', '',
    'fn more(größe: i64, left: i64, right: i64) -> i64 {', '    größe + ', '}', '',
    'fn call(left: i64, right: i64) -> i64 {', '    add()', '}' })
  await('the model', function() return last_status().state == 'warm' end)
  say('%s', last_status().message)

  vim.api.nvim_win_set_cursor(0, { 3, 0 })
  expect_ghost('A', 'left + right')
  -- Typing along takes nothing away but what was typed, and waits for no new answer to be accepted.
  local answered = seen.answered
  expect_ghost('left', ' + right')
  say('%d answers since', seen.answered - answered)
  vim.api.nvim_input('<Tab>')
  await('the accepted line', function() return vim.api.nvim_get_current_line() == '    left + right' end)
  vim.api.nvim_input('<Esc>')
  await('normal mode', function() return vim.api.nvim_get_mode().mode == 'n' end)

  vim.api.nvim_win_set_cursor(0, { 7, 0 })
  expect_ghost('A', 'left + right')
  answered = seen.answered
  expect_ghost('left', ' + right')
  await('an answer to what was typed', function() return seen.answered > answered end)
  equal('ghost text', ghost(), ' + right')
  vim.api.nvim_input('<Tab>')
  await('the accepted line', function() return vim.api.nvim_get_current_line() == '    größe + left + right' end)
  vim.api.nvim_input('<Esc>')
  await('normal mode', function() return vim.api.nvim_get_mode().mode == 'n' end)

  -- What stands right of the cursor stays, and is drawn over by the same.
  vim.api.nvim_win_set_cursor(0, { 11, 8 })
  expect_ghost('i', 'left + right)')
  expect_ghost('left', ' + right)')
  vim.api.nvim_input('<Tab>')
  await('the accepted line', function() return vim.api.nvim_get_current_line() == '    add(left + right)' end)
  vim.api.nvim_input('<Esc>')
  await('normal mode', function() return vim.api.nvim_get_mode().mode == 'n' end)

  vim.cmd('silent write')
  equal('saved', vim.fn.readfile(file), { '// Größe: 𝕏', 'fn add(left: i64, right: i64) -> i64 {',
    '    left + right', '}', '', 'fn more(größe: i64, left: i64, right: i64) -> i64 {',
    '    größe + left + right', '}', '',
    'fn call(left: i64, right: i64) -> i64 {', '    add(left + right)', '}' })
  close(function(complaints) equal('log', complaints, {}) end)
end

function cases.no_model_server()
  open({ 'fn add(left: i64, right: i64) -> i64 {', '    ', '}' })
  await('word that no model answers', function() return last_status().state == 'down' end)
  say('%s', last_status().message)
  vim.api.nvim_win_set_cursor(0, { 2, 0 })
  vim.api.nvim_input('A')
  await('an answer', function() return seen.answered > 0 end)
  local answered = seen.answered
  vim.api.nvim_input('l')
  await('an answer to the next key', function() return seen.answered > answered end)
  equal('ghost text', ghost(), '')
  vim.api.nvim_input('<Esc>')
  await('normal mode', function() return vim.api.nvim_get_mode().mode == 'n' end)
  vim.cmd('silent write')
  -- The log may say why there is nothing; it is where a user looks.
  close(function(complaints)
    for _, line in ipairs(complaints) do say('log: %s', line) end
  end)
end

-- A user's init.lua, as editors/neovim/lsp/hearth.lua tells it.
vim.lsp.enable('hearth')
vim.lsp.inline_completion.enable()
vim.keymap.set('i', '<Tab>', function()
  if not require('hearth').accept() then
    return '<Tab>'
  end
end, { expr = true, desc = 'Accept the suggestion' })

-- What a test looks at beside the screen.
vim.lsp.config('hearth', {
  handlers = { ['hearth/status'] = function(_, params) table.insert(seen.status, params) end },
  on_exit = function(code, signal) seen.exit = { code, signal } end,
})
vim.api.nvim_create_autocmd('LspRequest', {
  callback = function(event)
    local request = event.data.request
    if request.method == 'textDocument/inlineCompletion' and request.type == 'complete' then
      seen.answered = seen.answered + 1
    end
  end,
})
vim.notify = function(message, level) table.insert(seen.notified, { level, message }) end

driver = coroutine.create(function()
  local ok, err = pcall(cases[assert(os.getenv('CASE'))])
  if ok then
    vim.cmd('qall!')
  else
    io.stderr:write('neovim: FAILED: ', tostring(err), '\n')
    vim.cmd('cquit! 1')
  end
end)
vim.schedule(function() assert(coroutine.resume(driver)) end)
