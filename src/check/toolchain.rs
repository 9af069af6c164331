//! How other languages are checked: a row each. A tool is taken from `PATH` alone, never from the
//! workspace; without it an edit is offered as parsed only.

use std::{
    collections::HashMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::{
    Failure, Skip, Verdict,
    cargo::first_error,
    process::{End, Ran},
    workshop::{Purpose, Texts, Workshop},
};

/// A language's check.
#[derive(Debug)]
pub(super) struct Row {
    extensions: &'static [&'static str],
    /// Tools, the best first; the first one that is there is used.
    tools: &'static [Tool],
}

#[derive(Debug)]
struct Tool {
    /// As a label names it.
    name: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
    /// What is put behind the arguments.
    of: Of,
    /// The file that marks the folder in which the tool is started; without it the tool cannot say
    /// anything. None: the folder that the editor has opened.
    project: Option<&'static str>,
}

#[derive(Debug)]
enum Of {
    File,
    Folder,
    Project,
}

/// Every language but Rust that can be checked.
pub(super) static ROWS: &[Row] = &[
    Row {
        extensions: &["py", "pyi"],
        tools: &[
            Tool {
                name: "pyright",
                program: "pyright",
                arguments: &["--level", "error"],
                of: Of::File,
                project: None,
            },
            Tool {
                name: "python3 -m py_compile",
                program: "python3",
                arguments: &["-m", "py_compile"],
                of: Of::File,
                project: None,
            },
        ],
    },
    Row {
        extensions: &["ts", "tsx", "mts", "cts"],
        tools: &[Tool {
            name: "tsc",
            program: "tsc",
            arguments: &["--noEmit", "--pretty", "false"],
            of: Of::Project,
            project: Some("tsconfig.json"),
        }],
    },
    Row {
        extensions: &["js", "mjs", "cjs"],
        tools: &[Tool {
            name: "node --check",
            program: "node",
            arguments: &["--check"],
            of: Of::File,
            project: None,
        }],
    },
    Row {
        extensions: &["go"],
        tools: &[Tool {
            name: "go vet",
            program: "go",
            arguments: &["vet"],
            of: Of::Folder,
            project: Some("go.mod"),
        }],
    },
    Row {
        extensions: &["sh", "bash"],
        tools: &[Tool {
            name: "bash -n",
            program: "bash",
            arguments: &["-n"],
            of: Of::File,
            project: None,
        }],
    },
    Row {
        extensions: &["rb"],
        tools: &[Tool {
            name: "ruby -c",
            program: "ruby",
            arguments: &["-c"],
            of: Of::File,
            project: None,
        }],
    },
    Row {
        extensions: &["php"],
        tools: &[Tool {
            name: "php -l",
            program: "php",
            arguments: &["-l"],
            of: Of::File,
            project: None,
        }],
    },
];

impl Row {
    pub(super) fn of(file: &Path) -> Option<&'static Self> {
        let extension = file.extension()?.to_str()?;
        ROWS.iter().find(|row| row.extensions.contains(&extension))
    }

    /// The tool that would be missed.
    fn usual(&self) -> &'static str {
        self.tools.last().map_or("tool", |tool| tool.program)
    }

    /// Checks a file by the first tool that can say something; by which one, and what.
    pub(super) async fn compare(
        &self,
        workshop: &Workshop,
        at: (&Path, &Path),
        edited: &Texts,
        unedited: &Texts,
    ) -> (Option<&'static str>, Verdict) {
        let mut why = Skip::NoTool(self.usual());
        for tool in self.tools {
            let Some(program) = workshop.sandbox().toolchains().find(tool.program) else {
                continue;
            };
            match tool.compare(workshop, &program, at, (edited, unedited)).await {
                Ok(Ok(())) => return (Some(tool.name), Verdict::Held),
                Ok(Err(failure)) => return (Some(tool.name), Verdict::Failed(failure)),
                Err(skip) => why = skip,
            }
        }
        (None, Verdict::Skipped(why))
    }
}

impl Tool {
    /// Checks a file with the edit, and where that fails without, to tell what is new.
    async fn compare(
        &self,
        workshop: &Workshop,
        program: &Path,
        (file, opened): (&Path, &Path),
        (edited, unedited): (&Texts, &Texts),
    ) -> Result<Result<(), Failure>, Skip> {
        let folder = self.folder(file, opened)?;
        workshop.sync(edited).await?;
        let ran = self.run(workshop, program, file, &folder).await?;
        if ran.end == End::Success {
            return Ok(Ok(()));
        }
        workshop.sync(unedited).await?;
        let before = self.run(workshop, program, file, &folder).await?;
        let said = |ran: &Ran| workshop.relative(&format!("{}{}", ran.stdout, ran.stderr));
        let (now, before_said) = (said(&ran), said(&before));
        if before.end == End::Success {
            return Ok(Err(Failure::new(now)));
        }
        let mut old: HashMap<String, usize> = HashMap::new();
        for line in before_said.lines() {
            *old.entry(without_numbers(line)).or_default() += 1;
        }
        let new: Vec<&str> = now
            .lines()
            .filter(|line| match old.get_mut(&without_numbers(line)) {
                Some(count @ 1..) => {
                    *count -= 1;
                    false
                }
                _ => !line.trim().is_empty(),
            })
            .collect();
        if new.is_empty() {
            Err(Skip::ToolFailed(first_error(&before_said)))
        } else {
            Ok(Err(Failure::new(new.join("\n"))))
        }
    }

    /// The folder in which the tool is started.
    fn folder(&self, file: &Path, opened: &Path) -> Result<PathBuf, Skip> {
        let Some(mark) = self.project else { return Ok(opened.to_path_buf()) };
        file.ancestors()
            .skip(1)
            .take_while(|up| up.starts_with(opened))
            .find(|up| up.join(mark).is_file())
            .map(Path::to_path_buf)
            .ok_or_else(|| Skip::ToolFailed(format!("{} needs a {mark}", self.program)))
    }

    async fn run(
        &self,
        workshop: &Workshop,
        program: &Path,
        file: &Path,
        folder: &Path,
    ) -> Result<Ran, Skip> {
        let mut arguments: Vec<OsString> = self.arguments.iter().map(OsString::from).collect();
        match self.of {
            Of::File => arguments.push(workshop.mirrored(file).into()),
            Of::Folder => arguments.extend(file.parent().map(|up| workshop.mirrored(up).into())),
            Of::Project => {}
        }
        let time = workshop.limits().compile;
        let ran = workshop.run(program, arguments, folder, Purpose::Build, time).await?;
        match ran.end {
            End::TimedOut => Err(Skip::ToolFailed(format!("{} does not end", self.program))),
            End::TooMuchOutput => {
                Err(Skip::ToolFailed(format!("{} wrote without end", self.program)))
            }
            End::Success | End::Failure => Ok(ran),
        }
    }
}

/// A line of a tool's output apart from the places it names.
fn without_numbers(line: &str) -> String {
    line.chars().filter(|c| !c.is_ascii_digit()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_every_tool() {
        let page = include_str!("../../docs/checks.md");
        let (_, table) = page.split_once("|---|---|\n").expect("a table");
        let lines = table.split_inclusive('\n').take_while(|line| line.starts_with('|'));
        let table: String = lines.collect();
        let quoted = |words: Vec<&str>| {
            words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
        };
        let rows = ROWS.iter().map(|row| {
            let tools = row.tools.iter().map(|tool| tool.name).collect();
            format!("| {} | {} |\n", quoted(row.extensions.to_vec()), quoted(tools))
        });
        assert_eq!(table, rows.collect::<String>());
    }
}
