//! `hearth setup EDITOR`: the configuration of an editor, printed, or merged into the user's.
//!
//! What a user has set stays as it is, comments and all; a file that cannot be read as what it should
//! be is not touched; and of every file that is changed a copy is kept beside it.

mod helix;
mod neovim;
mod vscode;

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    editor: Editor,
    /// Merge it into your configuration, and keep a copy of what was there
    #[arg(long)]
    write: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Editor {
    Vscode,
    Neovim,
    Helix,
}

/// What an editor needs.
struct Plan {
    /// What to print for those who write it themselves.
    shown: String,
    files: Vec<Target>,
    /// What the user is left to do.
    next: String,
}

/// A file and what belongs into it.
struct Target {
    path: PathBuf,
    merge: Box<Merge>,
}

/// From a file's text, empty where there is none, to what it should be.
type Merge = dyn Fn(&str) -> anyhow::Result<String>;

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let program = program()?;
    let plan = match arguments.editor {
        Editor::Vscode => vscode::plan(&folder(Folder::VsCode)?, &program),
        Editor::Neovim => neovim::plan(&folder(Folder::Config)?, &folder(Folder::Data)?, &program),
        Editor::Helix => helix::plan(&folder(Folder::Config)?, &program)?,
    };
    let mut about = io::stderr().lock();
    if arguments.write {
        for target in &plan.files {
            writeln!(about, "{}", write(target)?)?;
        }
    } else {
        io::stdout().lock().write_all(plan.shown.as_bytes())?;
        let places: Vec<_> =
            plan.files.iter().map(|file| file.path.display().to_string()).collect();
        writeln!(about, "--write puts this into {}", places.join(", "))?;
    }
    writeln!(about, "{}", plan.next)?;
    Ok(ExitCode::SUCCESS)
}

/// Merges a file, and says what was done.
fn write(target: &Target) -> anyhow::Result<String> {
    let path = &target.path;
    let shown = path.display();
    let before = match fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("cannot read {shown}")),
    };
    let after = (target.merge)(before.as_deref().unwrap_or_default())
        .with_context(|| format!("{shown} stays as it is"))?;
    if before.as_ref() == Some(&after) {
        return Ok(format!("{shown} is as it should be"));
    }
    let kept = before.map(|text| keep(path, &text)).transpose()?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::write(path, after).with_context(|| format!("cannot write {shown}"))?;
    Ok(match kept {
        Some(copy) => format!("wrote {shown}; what was there is in {}", copy.display()),
        None => format!("wrote {shown}"),
    })
}

/// Writes `text` beside `path`, under a name that nothing has yet.
fn keep(path: &Path, text: &str) -> anyhow::Result<PathBuf> {
    for number in 0.. {
        let mut name = path.as_os_str().to_owned();
        name.push(if number == 0 { ".bak".to_owned() } else { format!(".bak{number}") });
        let copy = PathBuf::from(name);
        match fs::OpenOptions::new().write(true).create_new(true).open(&copy) {
            Ok(mut file) => {
                file.write_all(text.as_bytes())
                    .with_context(|| format!("cannot write {}", copy.display()))?;
                return Ok(copy);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).with_context(|| format!("cannot write {}", copy.display()));
            }
        }
    }
    anyhow::bail!("{} has more copies than can be counted", path.display())
}

/// How an editor starts this program: by its name where the PATH leads to it, else by its path.
#[expect(clippy::disallowed_methods, reason = "the environment is read in config and cli")]
fn program() -> anyhow::Result<String> {
    let this = std::env::current_exe().and_then(fs::canonicalize).context("where am I?")?;
    let path = std::env::var("PATH").unwrap_or_default();
    let name = format!("hearth{}", std::env::consts::EXE_SUFFIX);
    let first = std::env::split_paths(&path)
        .map(|folder| folder.join(&name))
        .find_map(|file| fs::canonicalize(file).ok());
    if first.as_ref() == Some(&this) {
        return Ok("hearth".to_owned());
    }
    this.into_os_string().into_string().ok().context("this program's path is not Unicode")
}

enum Folder {
    /// Of Neovim's and Helix's configuration.
    Config,
    /// Of Neovim's packages.
    Data,
    /// Of VS Code's settings.
    VsCode,
}

/// Where an editor looks on this platform.
#[expect(clippy::disallowed_methods, reason = "the environment is read in config and cli")]
fn folder(folder: Folder) -> anyhow::Result<PathBuf> {
    let named =
        |name: &str| std::env::var(name).ok().filter(|path| !path.is_empty()).map(PathBuf::from);
    let home = || std::env::home_dir().context("there is no home folder");
    Ok(match folder {
        Folder::VsCode if cfg!(windows) => {
            named("APPDATA").context("APPDATA is not set")?.join("Code")
        }
        Folder::VsCode if cfg!(target_os = "macos") => {
            home()?.join("Library/Application Support/Code")
        }
        Folder::VsCode => self::folder(Folder::Config)?.join("Code"),
        Folder::Config => match named("XDG_CONFIG_HOME") {
            Some(folder) => folder,
            None => home()?.join(".config"),
        },
        Folder::Data => match named("XDG_DATA_HOME") {
            Some(folder) => folder,
            None => home()?.join(".local").join("share"),
        },
    })
}
