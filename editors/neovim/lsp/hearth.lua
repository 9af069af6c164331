---@brief
---
--- Hearth completes code with a model on your own machine.
---
--- Put `editors/neovim` on the runtime path, then:
---
--- ```lua
--- vim.lsp.enable('hearth')
--- vim.lsp.inline_completion.enable()  -- ghost text; Neovim 0.12 or later
--- vim.keymap.set('i', '<Tab>', function()
---   if not require('hearth').accept() then
---     return '<Tab>'
---   end
--- end, { expr = true, desc = 'Accept the suggestion' })
--- ```
---
--- Settings (docs/settings.md) that decide where code is sent go into `init_options`, all others
--- into `settings.hearth` or into `~/.config/hearth/config.toml`.

---@type vim.lsp.Config
return {
  cmd = { 'hearth', 'serve', '--stdio' },
  root_markers = { '.git', 'Cargo.toml', 'package.json', 'pyproject.toml', 'go.mod' },
  workspace_required = false,
  settings = { hearth = {} },
}
