-- :Hearth and the <Plug> maps. Starts nothing: that is require('hearth').setup().
if vim.g.loaded_hearth then
  return
end
vim.g.loaded_hearth = true

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
}

local names = vim.tbl_keys(commands)
table.sort(names)

vim.api.nvim_create_user_command('Hearth', function(args)
  local name = args.args == '' and 'status' or args.args
  if commands[name] then
    commands[name]()
  else
    vim.notify((':Hearth knows %s'):format(table.concat(names, ', ')), vim.log.levels.ERROR)
  end
end, {
  nargs = '?',
  desc = 'Hearth: status, pause, resume, restart, log',
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
