//! Neovim: the plugin as a package, and a file of its own that starts it.

use std::path::Path;

use super::{Plan, Target};

macro_rules! plugin {
    ($($file:literal),+ $(,)?) => {
        &[$(($file, include_str!(concat!("../../../editors/neovim/", $file)))),+]
    };
}

/// The plugin's files, by their paths in it.
const PLUGIN: &[(&str, &str)] = plugin![
    "doc/hearth.txt",
    "lsp/hearth.lua",
    "lua/hearth.lua",
    "lua/hearth/edit.lua",
    "lua/hearth/health.lua",
    "lua/hearth/screen.lua",
    "lua/hearth/work.lua",
    "plugin/hearth.lua",
];

pub(super) fn plan(config: &Path, data: &Path, program: &str) -> Plan {
    let shown = start(program);
    let package = data.join("nvim/site/pack/hearth/start/hearth");
    let whole = |path, text: String| Target { path, merge: Box::new(move |_| Ok(text.clone())) };
    let plugin = PLUGIN.iter().map(|(file, text)| whole(package.join(file), (*text).to_owned()));
    let start = whole(config.join("nvim/plugin/hearth.lua"), shown.clone());
    Plan {
        shown,
        files: plugin.chain([start]).collect(),
        next:
            "Left to you: `:helptags ALL` in Neovim, once; then `:checkhealth hearth` says how it \
               is, and `:help hearth` the rest."
                .to_owned(),
    }
}

/// What Neovim reads when it starts.
fn start(program: &str) -> String {
    let command = if program == "hearth" {
        String::new()
    } else {
        let quoted = program.replace('\\', "\\\\").replace('\'', "\\'");
        format!("vim.lsp.config('hearth', {{ cmd = {{ '{quoted}', 'serve', '--stdio' }} }})\n")
    };
    format!(
        "-- Hearth completes code with a model on your own machine (:help hearth).\n\
         {command}\
         require('hearth').setup()\n\
         \n\
         -- Tab accepts, unless it is yours already.\n\
         local tab = vim.fn.maparg('<Tab>', 'i', false, true)\n\
         if vim.tbl_isempty(tab) or vim.startswith(tab.desc or '', 'vim.snippet') then\n\
         \x20 vim.keymap.set('i', '<Tab>', require('hearth').tab, {{ expr = true, desc = 'Accept the suggestion' }})\n\
         end\n\
         vim.keymap.set('i', '<M-Right>', '<Plug>(hearth-accept-word)')\n\
         vim.keymap.set('i', '<M-End>', '<Plug>(hearth-accept-line)')\n"
    )
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::PathBuf};

    use super::*;

    #[test]
    fn no_file_of_the_plugin_is_forgotten() {
        let plugin = Path::new(env!("CARGO_MANIFEST_DIR")).join("editors/neovim");
        let files: BTreeSet<_> = ignore::Walk::new(&plugin)
            .map(|entry| entry.expect("readable"))
            .filter(|entry| entry.path().is_file())
            .map(|entry| entry.path().strip_prefix(&plugin).expect("below").to_owned())
            .collect();
        assert_eq!(files, PLUGIN.iter().map(|(file, _)| PathBuf::from(file)).collect());
    }
}
