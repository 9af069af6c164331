-- Drives Neovim as a user would, and ends it with 0 if all was as it must be. Started by
-- tests/editors/neovim with CASE, WORK (a folder) and the settings' folder in the environment.
--
-- Keys go through nvim_input and every wait goes back to the event loop, as ghost text hangs on
-- autocommands of insert mode. Waits are for something seen; the timeout is what a failure takes.

local TIMEOUT_MS = 10000
local work = assert(os.getenv('WORK'))
local project = work .. '/project'
local file = project .. '/src/main.rs'
local seen = { notified = {}, answered = 0, exit = nil }

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

local function await(what, condition, limit)
  local began = vim.uv.hrtime()
  limit = limit or TIMEOUT_MS
  while not condition() do
    if (vim.uv.hrtime() - began) / 1e6 > limit then
      error(('waited %d ms in vain for %s; mode %s, lines %s, seen %s'):format(limit, what,
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

local function open(lines, line_end)
  vim.fn.mkdir(vim.fs.dirname(file), 'p')
  vim.fn.mkdir(project .. '/.git', 'p')
  local text = table.concat(lines, line_end or '\n') .. (line_end or '\n')
  local handle = assert(io.open(file, 'wb'))
  handle:write(text)
  handle:close()
  vim.cmd.edit(file)
  await('hearth to attach', function()
    local client = vim.lsp.get_clients({ bufnr = 0, name = 'hearth' })[1]
    return client and client.initialized
  end)
end

local function last_status()
  return require('hearth').status() or {}
end

local function warm()
  await('the model', function() return last_status().state == 'warm' end)
  say('%s', last_status().message)
end

local function line_is(expected)
  await('the line ' .. expected, function() return vim.api.nvim_get_current_line() == expected end)
end

local function leave_insert()
  vim.api.nvim_input('<Esc>')
  await('normal mode', function() return vim.api.nvim_get_mode().mode == 'n' end)
end

-- Puts the cursor into a line, counted from 1, and waits for ghost text after `keys`.
local function at(row, keys, expected)
  vim.api.nvim_win_set_cursor(0, { row, 0 })
  expect_ghost(keys, expected)
end

-- Saves, and compares the file's bytes.
local function saved(expected)
  vim.cmd('silent write')
  local handle = assert(io.open(file, 'rb'))
  equal('saved', handle:read('*a'), expected)
  handle:close()
end

-- Ends the server, which must have found nothing to complain of. `told` is what it told the user;
-- without it, nothing, and there are no messages of Neovim's own either.
local function close(log, told)
  vim.lsp.get_clients({ name = 'hearth' })[1]:stop()
  await('hearth to end', function() return seen.exit end)
  equal('hearth ended with code and signal', seen.exit, { 0, 0 })
  local notified = vim.iter(seen.notified):map(function(entry) return entry[2] end):totable()
  equal('notifications', notified, told or {})
  if not told then
    equal('messages', vim.fn.execute('messages'), '')
  end
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
  warm()

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

function cases.scripted()
  open({ 'fn main() {', '    ', '    ', '    if ready {', '        ', '    }', '    ', '}' })
  warm()

  -- Another key than the suggestion's next one replaces it.
  at(2, 'Alet a', 'nswer = 42;')
  expect_ghost('b', 'acus = 7;')
  vim.api.nvim_input('<Tab>')
  line_is('    let abacus = 7;')
  leave_insert()

  -- By word: also before Neovim has asked again.
  at(3, 'Alet a', 'nswer = 42;')
  vim.api.nvim_input('<M-Right>')
  line_is('    let answer')
  vim.api.nvim_input('<M-Right>')
  line_is('    let answer =')
  expect_ghost('', ' 42;')
  vim.api.nvim_input('<M-Right>')
  line_is('    let answer = 42')
  vim.api.nvim_input('<M-End>')
  line_is('    let answer = 42;')
  leave_insert()

  -- By line.
  at(5, 'A', 'first();\n        second();')
  vim.api.nvim_input('<M-End>')
  line_is('        first();')
  vim.api.nvim_input('<M-End>')
  line_is('        second();')
  leave_insert()

  -- Whole, in the middle of a line.
  at(8, 'Aadd()<Left>', 'left, right)')
  vim.api.nvim_input('<Tab>')
  line_is('    add(left, right)')
  leave_insert()
  saved('fn main() {\n    let abacus = 7;\n    let answer = 42;\n    if ready {\n        first();\n        second();\n    }\n'
    .. '    add(left, right)\n}\n')

  -- Nothing while paused.
  vim.cmd('Hearth pause')
  await('the pause', function() return last_status().paused end)
  equal('statusline', require('hearth').statusline(), '‖ Hearth: paused')
  local answered = seen.answered
  vim.api.nvim_win_set_cursor(0, { 2, 0 })
  vim.api.nvim_input('olet b')
  await('an answer', function() return seen.answered > answered end)
  equal('ghost text', ghost(), '')
  leave_insert()
  vim.cmd('Hearth resume')
  await('the end of the pause', function() return not last_status().paused end)
  equal('statusline', require('hearth').statusline(), '● coder')
  expect_ghost('A', 'ravo = 9;')
  leave_insert()
  await('word of it', function() return not last_status().lastNoSuggestion end)
  equal(':Hearth', vim.fn.execute('Hearth'):gsub('http%S+', 'URL'), '\n' .. last_status().message:gsub('http%S+', 'URL'))

  vim.cmd('checkhealth hearth')
  local report = table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), '\n')
  equal(':checkhealth names errors and warnings', report:match('ERROR') or report:match('WARNING'), nil)
  equal(':checkhealth names the model', report:match('warm: coder') ~= nil, true)
  vim.cmd('help hearth-keys')
  equal(':help', vim.fs.basename(vim.api.nvim_buf_get_name(0)), 'hearth.txt')
  close(function(complaints) equal('log', complaints, {}) end)
end

-- What is left of a suggestion that was accepted in part goes in where it belongs, or nowhere.
function cases.parts()
  open({ 'fn main() {', '    ', '    ', '    ', '    ', '}' })
  warm()
  local function accept_word(row)
    at(row, 'Alet a', 'nswer = 42;')
    vim.api.nvim_input('<M-Right>')
    line_is('    let answer')
  end

  -- Two words at once, faster than they are inserted.
  accept_word(2)
  vim.api.nvim_input('<M-Right><M-Right>')
  line_is('    let answer = 42')
  leave_insert()

  -- Another word as long as the accepted one: a tab, to the next multiple of four.
  accept_word(3)
  vim.api.nvim_input(('<BS>'):rep(#'answer') .. 'banana')
  line_is('    let banana')
  vim.api.nvim_input('<Tab>')
  line_is('    let banana  ')
  leave_insert()

  accept_word(4)
  leave_insert()
  vim.api.nvim_input('A<Tab>')
  line_is('    let answer  ')
  leave_insert()

  accept_word(5)
  expect_ghost('', ' = 42;')
  vim.uv.kill(vim.api.nvim_get_proc_children(vim.fn.getpid())[1], 'sigkill')
  await('the end', function() return seen.exit and ghost() == '' end)
  vim.api.nvim_input('<Tab>')
  line_is('    let answer  ')
end

-- Answers each question that Neovim asks with its first choice, until the function that is returned is
-- called.
local function answer_first()
  local timer = assert(vim.uv.new_timer())
  timer:start(0, 50, function()
    if vim.api.nvim_get_mode().mode == 'c' then
      vim.api.nvim_input('1<CR>')
    end
  end)
  return function() timer:close() end
end

local SUM = { 'pub fn sum(all: &[u32]) -> u32 {', '    let mut total = 0;', '    for n in all {', '        total += n;',
  '    }', '    total', '}' }
local SUMMED = { SUM[1], '    all.iter().sum()', '}' }

local function lines()
  return vim.api.nvim_buf_get_lines(vim.fn.bufnr(file), 0, -1, false)
end

-- A crate that Cargo knows.
local function crate()
  file = project .. '/src/lib.rs'
  vim.fn.mkdir(project, 'p')
  vim.fn.writefile({ '[package]', 'name = "sums"', 'edition = "2024"', '', '[workspace]' }, project .. '/Cargo.toml')
  open(SUM)
  warm()
end

-- Only compiled edits are made without a confirmation, and here is nothing to compile.
function cases.confirmed()
  open(SUM)
  warm()
  vim.ui.input = (function(input)
    return function(options, confirmed)
      seen.prompt = options.prompt
      vim.api.nvim_input('Use an iterator.<CR>')
      input(options, confirmed)
    end
  end)(vim.ui.input)
  local shown
  vim.api.nvim_create_autocmd('FileType', { pattern = 'diff', callback = function(event)
    shown = vim.api.nvim_buf_get_lines(event.buf, 0, -1, false)
  end })
  vim.cmd('Hearth rewrite')
  local stop = answer_first()
  await('the edit', function() return vim.deep_equal(lines(), SUMMED) end)
  stop()
  equal('prompt', seen.prompt, 'Hearth: what is to change? ')
  equal('preview', vim.list_slice(shown, 4), { '-    let mut total = 0;', '-    for n in all {', '-        total += n;', '-    }',
    '-    total', '+    all.iter().sum()' })
  equal('windows', #vim.api.nvim_list_wins(), 1)
  vim.cmd('undo')
  equal('undone in one step', lines(), SUM)
  close(function(complaints) equal('log', complaints, {}) end, {})
end

function cases.tests()
  crate()
  local stop = answer_first()
  vim.lsp.buf.code_action({ apply = true, filter = function(action) return action.title:find('generate tests') ~= nil end })
  await('the tests', function() return #lines() > #SUM end, 60000)
  stop()
  local expected = vim.list_extend(vim.deepcopy(SUM), { '', '#[cfg(test)]', 'mod tests {', '    use super::*;', '', '    #[test]',
    '    fn of_none() {', '        assert_eq!(sum(&[]), 0);', '    }', '', '    #[test]', '    fn of_some() {',
    '        assert_eq!(sum(&[1, 2, 39]), 42);', '    }', '}' })
  equal('tests', lines(), expected)
  vim.cmd('undo')
  equal('undone in one step', lines(), SUM)
  close(function(complaints) equal('log', complaints, {}) end, {
    'LSP[hearth] Hearth: Tests for `sum`: parsed, formatted, compiled, tests passed\n6 written, 2 kept\n'
      .. '`of_none` passed 5 times, and fails with `1` instead of `0`\n`of_some` passed 5 times, and fails with '
      .. '`{ 0 }` instead of `{ let mut total = 0; for n in all { tota …`\ndropped an answer: it is no test (4 times)',
  })
end

function cases.cancelled()
  open(SUM)
  warm()
  vim.cmd('Hearth rewrite Take for ever.')
  local stop = answer_first()
  await('its progress', function() return require('hearth').statusline() == '… Hearth: Rewrite: the model reads' end)
  stop()
  say('%s', require('hearth').statusline())
  vim.cmd('Hearth cancel')
  await('its end', function() return require('hearth').statusline() == '● coder' end)
  equal('lines', lines(), SUM)
  close(function(complaints) equal('log', complaints, {}) end)
end

function cases.explained()
  open(SUM)
  warm()
  vim.cmd('Hearth explain')
  local function page()
    return vim.iter(vim.api.nvim_list_bufs()):find(function(buf) return vim.api.nvim_buf_get_name(buf):find('hearth%-.*%.md$') end)
  end
  await('the page', page)
  equal('page', vim.api.nvim_buf_get_lines(page(), 0, -1, false),
    { '# The function `sum`', '', 'Adds all numbers and takes for granted that the sum fits.' })
  close(function(complaints) equal('log', complaints, {}) end, {})
end

function cases.analyzed()
  crate()
  vim.cmd('Hearth analyze Take for ever.')
  await('its progress', function() return require('hearth').statusline() == '… Hearth: Analyze the codebase: the model reads' end)
  vim.cmd('Hearth cancel')
  await('its end', function() return require('hearth').statusline() == '● coder' end)
  vim.cmd('Hearth analyze Where are numbers added up?')
  local function report()
    for _, window in ipairs(vim.api.nvim_list_wins()) do
      local text = table.concat(vim.api.nvim_buf_get_lines(vim.api.nvim_win_get_buf(window), 0, -1, false), '\n')
      if text:find('# Analysis: Where are numbers added up?', 1, true) == 1 then return text end
    end
  end
  await('the report in a window', report)
  say('%s', report())
  equal('the answer', report():match('%- `sum` adds up what it is given, one after the other %(src/lib.rs:4%)') ~= nil, true)
  equal('lines', lines(), SUM)
  close(function(complaints) equal('log', complaints, {}) end, {})
end

function cases.wide()
  open({ '// Größe: 𝕏', 'fn main() {', '    /* 𝕏 ö 😀 */ ', '}' })
  warm()
  at(3, 'Alet ö', 'l = "😀";')
  vim.api.nvim_input('<Tab>')
  line_is('    /* 𝕏 ö 😀 */ let öl = "😀";')
  leave_insert()
  saved('// Größe: 𝕏\nfn main() {\n    /* 𝕏 ö 😀 */ let öl = "😀";\n}\n')
  close(function(complaints) equal('log', complaints, {}) end)
end

-- How long each suggestion was on the screen: one is typed along and taken back to before, one is accepted.
function cases.counted()
  open({ 'fn main() {', '    ', '    ', '}' })
  warm()
  at(2, 'Alet a', 'nswer = 42;')
  expect_ghost('nsw', 'er = 42;')
  leave_insert()
  at(3, 'Alet a', 'nswer = 42;')
  vim.api.nvim_input('<Tab>')
  line_is('    let answer = 42;')
  leave_insert()
  close(function(complaints) equal('log', complaints, {}) end)
  local status = vim.system({ 'hearth', 'status', '--json' }, { text = true }):wait()
  local counts = vim.json.decode(status.stdout).suggestions
  equal('shown, accepted, timed', { counts.shown, counts.accepted, counts.timed }, { 2, 1, 2 })
  equal('time on the screen is known', counts.onScreenMs > 0, true)
end

function cases.tabs()
  open({ 'fn main() {', '\tstart();', '\twhile tabs {', '\t\t', '\t}', '}' })
  warm()
  at(4, 'A', 'first();\n\t\tsecond();')
  vim.api.nvim_input('<Tab>')
  line_is('\t\tsecond();')
  leave_insert()
  saved('fn main() {\n\tstart();\n\twhile tabs {\n\t\tfirst();\n\t\tsecond();\n\t}\n}\n')
  close(function(complaints) equal('log', complaints, {}) end)
end

function cases.crlf()
  open({ 'fn main() {', '    if ready {', '        ', '    }', '}' }, '\r\n')
  equal('fileformat', vim.bo.fileformat, 'dos')
  warm()
  at(3, 'A', 'first();\n        second();')
  vim.api.nvim_input('<Tab>')
  line_is('        second();')
  leave_insert()
  saved('fn main() {\r\n    if ready {\r\n        first();\r\n        second();\r\n    }\r\n}\r\n')
  close(function(complaints) equal('log', complaints, {}) end)
end

-- How many autocommands the plugin has: another start of the server must add none.
local function autocommands()
  return #vim.api.nvim_get_autocmds({ group = 'hearth' })
end

function cases.killed()
  open({ 'fn main() {', '    ', '}' })
  warm()
  local before = autocommands()
  local function server()
    return vim.api.nvim_get_proc_children(vim.fn.getpid())[1]
  end
  local first = assert(server())
  vim.uv.kill(first, 'sigkill')
  await('another server', function() return server() and server() ~= first end)
  warm()
  at(2, 'Alet a', 'nswer = 42;')
  vim.api.nvim_input('<Tab>')
  line_is('    let answer = 42;')
  leave_insert()
  vim.cmd('Hearth restart')
  await('the end', function() return seen.exit and seen.exit[1] == 0 end)
  await('a third server', function() return last_status().state == 'warm' end)
  equal('autocommands', autocommands(), before)
  -- Neovim itself says that the first one was killed, and nothing else is said.
  equal('notifications', #seen.notified, 1)
end

function cases.set_up()
  open({ 'fn main() {', '    ', '}' })
  warm()
  at(2, 'Alet a', 'nswer = 42;')
  vim.api.nvim_input('<M-Right>')
  line_is('    let answer')
  expect_ghost('', ' = 42;')
  vim.api.nvim_input('<Tab>')
  line_is('    let answer = 42;')
  leave_insert()
  close(function(complaints) equal('log', complaints, {}) end)
end

-- Neovim 0.11 has no ghost text: the popup.
function cases.popup()
  equal('ghost text', vim.lsp.inline_completion, nil)
  vim.o.completeopt = 'menuone,noinsert'
  open({ 'fn main() {', '    ', '}' })
  warm()
  vim.api.nvim_win_set_cursor(0, { 2, 0 })
  vim.api.nvim_input('Alet ')
  await('the word', function() return vim.api.nvim_get_current_line() == '    let ' end)
  vim.api.nvim_input('a')
  await('the popup', function()
    local item = vim.fn.complete_info({ 'items' }).items[1]
    return vim.fn.pumvisible() == 1 and item and item.abbr == 'answer = 42;'
  end)
  vim.api.nvim_input('<C-y>')
  line_is('    let answer = 42;')
  leave_insert()
  saved('fn main() {\n    let answer = 42;\n}\n')
  vim.cmd('checkhealth hearth')
  local report = table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), '\n')
  equal(':checkhealth says so', report:match('Neovim below 0.12 shows no ghost text') ~= nil, true)
  vim.cmd.buffer(file)
  local before = autocommands()
  vim.cmd('Hearth restart')
  await('the end', function() return seen.exit end)
  warm()
  equal('autocommands', autocommands(), before)
  seen.exit = nil
  close(function(complaints) equal('log', complaints, {}) end, {})
end

-- From the last key of `let a` to the ghost text: with Hearth, and with a server that answers at once.
local function speed()
  local times = {}
  for _ = 1, 10 do
    vim.api.nvim_win_set_cursor(0, { 2, 0 })
    vim.api.nvim_input('Alet ')
    await('the word', function() return vim.api.nvim_get_current_line() == '    let ' end)
    local began = vim.uv.hrtime()
    vim.api.nvim_input('a')
    await('the ghost text', function() return ghost() == 'nswer = 42;' end)
    times[#times + 1] = (vim.uv.hrtime() - began) / 1e6
    vim.api.nvim_input('<Tab>')
    line_is('    let answer = 42;')
    leave_insert()
    vim.api.nvim_set_current_line('    ')
  end
  table.sort(times)
  say('from a key to its ghost text, %s: median %d ms of %d, %d to %d ms', os.getenv('CASE'), times[5], #times, times[1],
    times[#times])
end

function cases.speed()
  open({ 'fn main() {', '    ', '}' })
  warm()
  speed()
end

function cases.speed_of_an_instant_server()
  vim.lsp.config('hearth', { cmd = { assert(os.getenv('INSTANT_SERVER')) } })
  open({ 'fn main() {', '    ', '}' })
  speed()
end

-- A user's init.lua, as editors/neovim/doc/hearth.txt tells it.
if os.getenv('CASE') ~= 'set_up' then
  require('hearth').setup()
  vim.keymap.set('i', '<Tab>', require('hearth').tab, { expr = true })
  vim.keymap.set('i', '<M-Right>', '<Plug>(hearth-accept-word)')
  vim.keymap.set('i', '<M-End>', '<Plug>(hearth-accept-line)')
end

-- What a test looks at beside the screen.
local ended = require('hearth').ended
require('hearth').ended = function(code, signal)
  seen.exit = { code, signal }
  ended(code, signal)
end
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
