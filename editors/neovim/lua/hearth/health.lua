--- `:checkhealth hearth`
local M = {}

function M.check()
  local health = vim.health
  health.start('hearth')

  if vim.fn.has('nvim-0.12') == 1 then
    health.ok('Neovim shows ghost text')
  elseif vim.fn.has('nvim-0.11') == 1 then
    health.warn('Neovim below 0.12 shows no ghost text; suggestions come in the popup')
  else
    health.error('Neovim is too old', 'Hearth needs Neovim 0.11 for the popup, 0.12 for ghost text')
    return
  end

  local config = vim.lsp.config.hearth
  local program = config and config.cmd[1]
  if not program then
    health.error('There is no configuration for `hearth`', 'Put editors/neovim on the runtime path')
    return
  end
  if vim.fn.executable(program) == 0 then
    health.error(('`%s` is not a program on the PATH'):format(program), 'cargo install --path . in a checkout of Hearth')
    return
  end
  local version = vim.system({ program, '--version' }, { text = true }):wait()
  health.ok(('%s, %s'):format(vim.trim(version.stdout or ''), vim.fn.exepath(program)))

  local clients = vim.lsp.get_clients({ name = 'hearth' })
  if #clients == 0 then
    health.warn('The server runs for no buffer', "require('hearth').setup(), then open a file")
    return
  end
  local buffers = vim.tbl_keys(clients[1].attached_buffers)
  health.ok(('The server runs for %d buffer(s)'):format(#buffers))
  if vim.lsp.inline_completion then
    local off = vim.tbl_filter(function(buf)
      return not vim.lsp.inline_completion.is_enabled({ bufnr = buf })
    end, buffers)
    if #off > 0 then
      health.warn(('Ghost text is off in %d of them'):format(#off), 'vim.lsp.inline_completion.enable()')
    end
  end

  local status = require('hearth').status()
  if not status then
    health.warn('The server has not said how its model is')
  elseif status.state == 'down' then
    health.error(status.message, 'Start a model server; `hearth status` says where Hearth looks')
  else
    health.ok(('%s: %s'):format(status.state, status.message))
  end
  if status and status.paused then
    health.warn('Suggestions are paused', ':Hearth resume')
  end
end

return M
