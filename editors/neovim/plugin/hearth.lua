-- :Hearth and the <Plug> maps. Starts nothing: that is require('hearth').setup().
if vim.g.loaded_hearth then
  return
end
vim.g.loaded_hearth = true

---@type table<string, fun(words: string, lines?: { [1]: integer, [2]: integer })>
local commands = {
  status = function()
    local status = require('hearth').status()
    if not status then
      return vim.api.nvim_echo({ { 'Hearth does not run.' } }, false, {})
    end
    local lines = { status.message }
    if status.paused then
      lines[#lines + 1] = 'Suggestions are paused.'
    end
    if status.lastNoSuggestion then
      lines[#lines + 1] = 'No suggestion: ' .. status.lastNoSuggestion
    end
    vim.api.nvim_echo({ { table.concat(lines, '\n') } }, false, {})
  end,
  pause = function() require('hearth').pause() end,
  resume = function() require('hearth').resume() end,
  restart = function() require('hearth').restart() end,
  log = function() vim.cmd.tabedit(vim.fn.fnameescape(vim.lsp.log.get_filename())) end,
  rewrite = function(words, lines) require('hearth.work').rewrite(words, lines) end,
  test = function(_, lines) require('hearth.work').test(lines) end,
  explain = function(_, lines) require('hearth.work').explain(lines) end,
  analyze = function(words) require('hearth.work').analyze(words) end,
  cancel = function() require('hearth.work').cancel() end,
}

local names = vim.tbl_keys(commands)
table.sort(names)

vim.api.nvim_create_user_command('Hearth', function(args)
  local name, words = args.args:match('^(%S*)%s*(.-)%s*$')
  local run = commands[name == '' and 'status' or name]
  if run then
    run(words, args.range > 0 and { args.line1, args.line2 } or nil)
  else
    vim.notify((':Hearth knows %s'):format(table.concat(names, ', ')), vim.log.levels.ERROR)
  end
end, {
  nargs = '?',
  range = true,
  desc = 'Hearth: ' .. table.concat(names, ', '),
  complete = function(lead)
    return vim.tbl_filter(function(name) return vim.startswith(name, lead) end, names)
  end,
})

for name, accept in pairs({ accept = 'accept', ['accept-word'] = 'accept_word', ['accept-line'] = 'accept_line' }) do
  vim.keymap.set('i', ('<Plug>(hearth-%s)'):format(name), function()
    require('hearth')[accept]()
    return ''
  end, { expr = true, desc = 'Hearth: ' .. name })
end
