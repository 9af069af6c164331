---@brief
---
--- Hearth completes code with a model on your own machine.
---
--- Put `editors/neovim` on the runtime path, then:
---
--- ```lua
--- require('hearth').setup()  -- ghost text; below Neovim 0.12, the popup
--- vim.keymap.set('i', '<Tab>', require('hearth').tab, { expr = true })
--- ```
---
--- or, without the rest of the plugin, `vim.lsp.enable('hearth')` and `vim.lsp.inline_completion.enable()`.
--- `:help hearth` has all of it.
---
--- Settings (docs/settings.md) that decide where code is sent go into `init_options`, all others
--- into `settings.hearth` or into `~/.config/hearth/config.toml`.

---@type vim.lsp.Config
return {
  cmd = { 'hearth', 'serve', '--stdio' },
  root_markers = { '.git', 'Cargo.toml', 'package.json', 'pyproject.toml', 'go.mod' },
  workspace_required = false,
  settings = { hearth = {} },
  capabilities = {
    workspace = { workspaceEdit = { documentChanges = true, changeAnnotationSupport = { groupsOnLabel = true } } },
    experimental = { hearthAsksInstruction = true },
  },
  commands = {
    ['hearth.refactor'] = function(command)
      require('hearth.work').refactor(command)
    end,
  },
  handlers = {
    ['workspace/applyEdit'] = function(...)
      return require('hearth.edit').apply(...)
    end,
    ['hearth/status'] = function(_, params)
      require('hearth').told(params)
    end,
  },
  on_exit = function(code, signal)
    vim.schedule(function()
      require('hearth').ended(code, signal)
    end)
  end,
}
