//! Which files stay at home.
//!
//! Asked about a path, never about text. A path counts under the name it was given and under the
//! one it leads to, so a symlink hides nothing. Whatever cannot be resolved or read is kept here.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use ignore::{
    Match,
    gitignore::{Gitignore, GitignoreBuilder, gitconfig_excludes_path},
};

use super::{
    Refusal, Withheld,
    off_limits::{SETTING, globs, named, resolve},
};

/// Places for keys and passwords, in the notation of `.gitignore`, compared without regard to case.
/// No setting takes one of them back.
const SENSITIVE: &[&str] = &[
    ".env*",
    "*.env",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.p8",
    "*.pk8",
    "*.der",
    "*.jks",
    "*.ppk",
    "*.asc",
    "*.keystore",
    "*.kdbx",
    "*.kdb",
    "*.gpg",
    "*.age",
    "*.ovpn",
    "*.tfvars",
    "*.tfstate*",
    "*.mobileprovision",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    ".netrc",
    "_netrc",
    ".npmrc",
    ".pypirc",
    ".pgpass",
    ".my.cnf",
    ".htpasswd",
    ".git-credentials",
    ".dockercfg",
    ".docker/config.json",
    "kubeconfig",
    ".vault-token",
    ".envrc",
    "credentials",
    "credentials.json",
    "credentials.yml*",
    "secrets.json",
    "secrets.toml",
    "secrets.y*ml*",
    "service-account*.json",
    "master.key",
    ".git/",
    ".ssh/",
    ".aws/",
    ".gnupg/",
    ".azure/",
    ".kube/",
    ".direnv/",
];

/// Ignore files of a repository. Each kind is a chain of its own: a `!` in one takes back nothing
/// that another one ignores.
const IGNORE_FILES: [&str; 2] = [".gitignore", ".hearthignore"];

/// What is said of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Relative to the workspace, with `/`; the path as given where it leads out of it.
    pub(super) shown: String,
    /// A task with a piece of this file is private.
    pub(super) private: bool,
    /// `None` where nothing but privacy keeps it here.
    pub(super) withheld: Option<Withheld>,
}

/// What stays at home in one workspace.
#[derive(Debug, Clone)]
pub(super) struct Exclusions {
    /// Canonical.
    root: PathBuf,
    /// The topmost folder whose ignore files count: the repository's, or the root.
    top: PathBuf,
    sensitive: Gitignore,
    excluded: Gitignore,
    private: Gitignore,
    /// The user's own ignore file for all repositories, each of which it is read from.
    global: Option<PathBuf>,
}

impl Exclusions {
    pub(super) fn new(
        root: &Path,
        exclude: &[String],
        private: &[String],
    ) -> Result<Self, Refusal> {
        let unreadable = |error: std::io::Error| Refusal::Workspace {
            path: root.display().to_string(),
            detail: error.to_string(),
        };
        let root = fs::canonicalize(root).map_err(unreadable)?;
        let top = root.ancestors().find(|folder| folder.join(".git").exists()).unwrap_or(&root);
        let built_in: Vec<String> = SENSITIVE.iter().map(|&glob| glob.to_owned()).collect();
        let global = gitconfig_excludes_path();
        if let Some(file) = &global {
            let setting = "core.excludesFile of git";
            read(top, file).map_err(|detail| Refusal::Pattern { setting, detail })?;
        }
        Ok(Self {
            top: top.to_owned(),
            sensitive: globs(&root, "the built-in list", &built_in)?,
            excluded: globs(&root, SETTING, exclude)?,
            private: globs(&root, "privacy.private", private)?,
            global,
            root,
        })
    }

    /// The workspace's folder, canonical.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn judge(&self, path: &Path) -> Verdict {
        let named = self.root.join(path);
        let unresolved = |shown: String, detail: String| Verdict {
            private: self.is_private(named.strip_prefix(&self.root).unwrap_or(path)),
            withheld: Some(Withheld::Unresolved { path: shown.clone(), detail }),
            shown,
        };
        let given = named.display().to_string();
        let resolved = match resolve(&named) {
            Ok(resolved) => resolved,
            Err(error) => return unresolved(given, error.to_string()),
        };
        // A link's own name counts as well as the name it leads to.
        let plain =
            |path: &&Path| path.components().all(|part| matches!(part, Component::Normal(_)));
        let lexical = named.strip_prefix(&self.root).ok().filter(plain);
        let Ok(inside) = resolved.strip_prefix(&self.root) else {
            return Verdict {
                private: lexical.is_some_and(|lexical| self.is_private(lexical)),
                withheld: Some(Withheld::Outside { path: given.clone() }),
                shown: given,
            };
        };
        let Some(shown) = slashes(inside) else {
            return unresolved(given, "its name is not UTF-8".to_owned());
        };
        let both = [Some(inside), lexical.filter(|lexical| *lexical != inside)];
        let mut both = both.into_iter().flatten();
        Verdict {
            private: both.clone().any(|name| self.is_private(name)),
            withheld: both.find_map(|name| self.allow(name, &shown).err()),
            shown,
        }
    }

    fn is_private(&self, relative: &Path) -> bool {
        let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
        plain && named(&self.private, relative, false)
    }

    fn allow(&self, relative: &Path, shown: &str) -> Result<(), Withheld> {
        let path = shown.to_owned();
        if named(&self.sensitive, relative, false) {
            return Err(Withheld::Sensitive { path });
        }
        if named(&self.excluded, relative, false) {
            return Err(Withheld::Excluded { path });
        }
        let whole = self.root.join(relative);
        for name in IGNORE_FILES {
            match self.ignored(&whole, name) {
                Ok(false) => {}
                Ok(true) => return Err(Withheld::Ignored { path, by: name }),
                Err(detail) => return Err(Withheld::Unresolved { path, detail }),
            }
        }
        Ok(())
    }

    /// As git decides: a folder that is ignored hides what is in it, the nearest ignore file that
    /// says anything of a name wins.
    fn ignored(&self, path: &Path, name: &str) -> Result<bool, String> {
        let inside = path.strip_prefix(&self.top).map_err(|error| error.to_string())?;
        let mut chain = Vec::new();
        let mut here = self.top.clone();
        let mut parts = inside.components().peekable();
        while let Some(part) = parts.next() {
            // There are repositories in repositories.
            let starts = here == self.top || here.join(".git").exists();
            if name == ".gitignore" && starts {
                if let Some(global) = &self.global {
                    chain.extend(read(&here, global)?);
                }
                chain.extend(read(&here, &git_folder(&here)?.join("info/exclude"))?);
            }
            chain.extend(read(&here, &here.join(name))?);
            here.push(part);
            let is_folder = parts.peek().is_some();
            let said = chain.iter().rev().map(|globs| globs.matched(&here, is_folder));
            if let Some(Match::Ignore(_)) = said.into_iter().find(|said| !said.is_none()) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Where git keeps what is its own: `.git`, or what a worktree's file of that name leads to.
fn git_folder(top: &Path) -> Result<PathBuf, String> {
    let own = top.join(".git");
    if !own.is_file() {
        return Ok(own);
    }
    let text = |file: &Path| {
        let text = fs::read_to_string(file);
        text.map_err(|error| format!("{}: {error}", file.display()))
    };
    let link = text(&own)?;
    let of_worktree = top.join(link.trim_start_matches("gitdir:").trim());
    let common = of_worktree.join("commondir");
    if !common.is_file() {
        // A submodule's.
        return Ok(of_worktree);
    }
    Ok(of_worktree.join(text(&common)?.trim()))
}

/// The patterns of one ignore file; `None` where there is none.
fn read(folder: &Path, file: &Path) -> Result<Option<Gitignore>, String> {
    let text = match fs::read(file) {
        Ok(text) => text,
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(format!("{}: {error}", file.display())),
    };
    let mut globs = GitignoreBuilder::new(folder);
    for line in String::from_utf8_lossy(&text).lines() {
        // What git cannot read either ignores nothing there; here the file would have to be mended.
        let added = globs.add_line(None, line);
        added.map_err(|error| format!("{}: {error}", file.display()))?;
    }
    globs.build().map(Some).map_err(|error| error.to_string())
}

fn slashes(path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> =
        path.components().map(|part| part.as_os_str().to_str()).collect();
    parts.map(|parts| parts.join("/"))
}
