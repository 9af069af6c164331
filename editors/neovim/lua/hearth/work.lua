--- Work that the server does when it is asked: what it is asked for, how far it is, and ending it.
local M = {}

--- The running server; with `buf`, if it is attached there.
---@param buf? integer
---@return vim.lsp.Client?
function M.client(buf)
  return vim.lsp.get_clients({ name = 'hearth', bufnr = buf })[1]
end

--- Runs a command of the server's.
---@param command string
---@param argument? table
function M.run(command, argument)
  local server = M.client()
  if not server then
    return vim.notify('Hearth does not run; :checkhealth hearth says why', vim.log.levels.WARN)
  end
  server:request('workspace/executeCommand', { command = command, arguments = { argument } }, function(err)
    if err then
      vim.notify('Hearth: ' .. err.message, vim.log.levels.ERROR)
    end
  end)
end

--- The place that a command is for: the cursor, or whole lines.
---@param lines? { [1]: integer, [2]: integer } first and last, from 1
---@return table
local function place(lines)
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  local line = vim.api.nvim_get_current_line()
  local server = M.client()
  local cursor = { line = row - 1, character = vim.str_utfindex(line, server and server.offset_encoding or 'utf-8', col) }
  local range = lines and { start = { line = lines[1] - 1, character = 0 }, ['end'] = { line = lines[2], character = 0 } }
  return { uri = vim.uri_from_bufnr(0), range = range or { start = cursor, ['end'] = cursor } }
end

--- Asks for the instruction that `argument` of `hearth.refactor` lacks, and runs it.
---@param argument table
function M.rewrite_as_told(argument)
  vim.ui.input({ prompt = 'Hearth: what is to change? ' }, function(instruction)
    if instruction and vim.trim(instruction) ~= '' then
      M.run('hearth.refactor', vim.tbl_extend('force', argument, { instruction = instruction }))
    end
  end)
end

--- A code action's `hearth.refactor`, which may lack an instruction.
---@param command lsp.Command
function M.refactor(command)
  local argument = command.arguments[1]
  if (argument.action or 'rewrite') == 'rewrite' and not argument.instruction then
    M.rewrite_as_told(argument)
  else
    M.run(command.command, argument)
  end
end

--- Rewrites the item at the cursor, or in `lines`, as `instruction` says; asks for one where it is empty.
---@param instruction string
---@param lines? { [1]: integer, [2]: integer }
function M.rewrite(instruction, lines)
  local argument = vim.tbl_extend('force', place(lines), { action = 'rewrite' })
  if instruction == '' then
    M.rewrite_as_told(argument)
  else
    M.run('hearth.refactor', vim.tbl_extend('force', argument, { instruction = instruction }))
  end
end

--- Writes tests for the function or type there.
---@param lines? { [1]: integer, [2]: integer }
function M.test(lines)
  M.run('hearth.test', place(lines))
end

--- Explains the item there on a page.
---@param lines? { [1]: integer, [2]: integer }
function M.explain(lines)
  M.run('hearth.explain', place(lines))
end

--- Questions about a whole codebase that have a name, and whether something has to be asked for.
local ANALYSES = { architecture = false, risks = false, ['dead-code'] = false, onboarding = false, ['where-is'] = true, impact = true }

--- Answers a question about the whole codebase with a report: `words` are a kind of question, one with
--- what is asked for behind it, or a question in words. Asks for a kind where they are empty.
---@param words string
function M.analyze(words)
  local kinds = vim.tbl_keys(ANALYSES)
  table.sort(kinds)
  if words == '' then
    return vim.ui.select(kinds, { prompt = 'Hearth: analyze', kind = 'hearth' }, function(kind)
      if kind then
        M.analyze(kind)
      end
    end)
  end
  local kind, rest = words:match('^(%S+)%s*(.*)$')
  if ANALYSES[kind] == nil then
    M.run('hearth.analyzeCodebase', { question = words })
  elseif ANALYSES[kind] and rest == '' then
    vim.ui.input({ prompt = ('Hearth: %s: '):format(kind) }, function(question)
      if question and vim.trim(question) ~= '' then
        M.analyze(kind .. ' ' .. question)
      end
    end)
  else
    M.run('hearth.analyzeCodebase', { kind = kind, question = rest ~= '' and rest or nil })
  end
end

--- What is under way, by the token of its progress.
---@type table<string|integer, { title: string, message?: string }>
local running = {}

--- Takes `$/progress` of the server's. Gives what work is at, in one line.
---@param params { token: string|integer, value: { kind: string, title?: string, message?: string } }
function M.progress(params)
  local value = params.value
  if value.kind == 'end' then
    running[params.token] = nil
  else
    local before = running[params.token] or {}
    running[params.token] = { title = value.title or before.title or '', message = value.message or before.message }
  end
end

--- What is under way, for a statusline; empty where nothing is.
---@return string
function M.under_way()
  local all = vim.iter(pairs(running)):map(function(_, work)
    return work.message and ('%s: %s'):format(work.title, work.message) or work.title
  end):totable()
  table.sort(all)
  return table.concat(all, ', ')
end

--- Forgets all of it: the server has ended.
function M.ended()
  running = {}
end

--- Ends all that is under way.
function M.cancel()
  local server = M.client()
  for token in pairs(server and running or {}) do
    server:notify('window/workDoneProgress/cancel', { token = token })
  end
end

return M
