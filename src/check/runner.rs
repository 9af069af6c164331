//! How one generated test of a language other than Rust is run, and who failed when it does: a row for
//! each. The program is taken from `PATH` alone. The tests that a project has already are not run by
//! this: their frameworks and what they need are the project's own.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Skip,
    harness::Tested,
    process::End,
    workshop::{Purpose, Workshop},
};

/// Starts a function of a file, as `python3 -c START FILE NAME FOLDER`: a test that takes nothing needs no
/// framework. Modules are found as from the test's folder and from the opened one.
const START: &str = "\
import importlib.util, os, sys
file, name, opened = sys.argv[1:]
sys.dont_write_bytecode = True
sys.path[0:1] = [os.path.dirname(file), opened, os.path.join(opened, 'src')]
spec = importlib.util.spec_from_file_location('generated', file)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
test = getattr(module, name, None)
if callable(test):
    test()
    print('passed:', name)
";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Python,
    Go,
    Node,
}

/// Runs tests of one file.
#[derive(Debug)]
pub(super) struct Runner {
    kind: Kind,
    program: PathBuf,
    /// The file of the tests, and the folder that the editor has opened.
    file: PathBuf,
    opened: PathBuf,
}

impl Runner {
    pub(super) fn of(workshop: &Workshop, file: &Path, opened: &Path) -> Result<Self, Skip> {
        let (kind, program) = match file.extension().and_then(|it| it.to_str()) {
            Some("py") => (Kind::Python, "python3"),
            Some("go") => (Kind::Go, "go"),
            Some("js" | "mjs" | "cjs") => (Kind::Node, "node"),
            _ => return Err(Skip::NoTool("way to run tests of this language")),
        };
        let found = workshop.sandbox().toolchains().find(program).ok_or(Skip::NoTool(program))?;
        Ok(Self { kind, program: found, file: file.to_owned(), opened: opened.to_owned() })
    }

    /// Runs one test by its name.
    pub(super) async fn run(
        &self,
        workshop: &Workshop,
        test: &str,
        time: Duration,
    ) -> Result<Tested, Skip> {
        let file = workshop.mirrored(&self.file).into_os_string();
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        let (arguments, folder) = match self.kind {
            Kind::Python => {
                let opened = workshop.mirrored(&self.opened).into_os_string();
                let mut all = words(&["-c", START]);
                all.extend([file, test.into(), opened]);
                (all, self.opened.as_path())
            }
            Kind::Go => {
                let only = format!("^{test}$");
                let all = words(&["test", "-count=1", "-vet=off", "-v", "-run", &only, "."]);
                (all, self.file.parent().unwrap_or(&self.opened))
            }
            Kind::Node => {
                let only = format!("--test-name-pattern=^{}$", literally(test));
                let mut all = words(&["--test-reporter=tap", &only]);
                all.push(file);
                (all, self.opened.as_path())
            }
        };
        let ran = workshop.run(&self.program, arguments, folder, Purpose::Run, time).await?;
        let said = workshop.relative(&format!("{}{}", ran.stdout, ran.stderr));
        let passed =
            ran.end == End::Success && said.lines().any(|line| self.says_passed(line, test));
        Ok(Tested { end: ran.end, passed: passed.into(), failed: Vec::new(), aborted: false, said })
    }

    fn says_passed(&self, line: &str, test: &str) -> bool {
        match self.kind {
            Kind::Python => line == format!("passed: {test}"),
            Kind::Go => line.starts_with(&format!("--- PASS: {test} (")),
            Kind::Node => line.starts_with("ok ") && line.ends_with(&format!(" - {test}")),
        }
    }

    /// Whether what a failed run says names the test's own file as where it failed, and not what it
    /// calls.
    pub(super) fn blames_test(&self, said: &str) -> bool {
        let name = self.file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        match self.kind {
            // The last place of a traceback is where it was raised.
            Kind::Python => said
                .lines()
                .rfind(|line| line.trim_start().starts_with("File \""))
                .and_then(|line| line.split('"').nth(1))
                .is_some_and(|path| Path::new(path).file_name() == self.file.file_name()),
            Kind::Go => {
                let own = format!("{name}:");
                !said.contains("panic:")
                    && said.lines().any(|line| line.trim_start().starts_with(&own))
            }
            // The first place of a stack is where it was thrown.
            Kind::Node => said
                .split_once("stack: |-\n")
                .and_then(|(_, stack)| stack.lines().next())
                .is_some_and(|line| line.contains(&format!("/{name}:"))),
        }
    }
}

/// A regular expression for exactly this text.
fn literally(text: &str) -> String {
    text.chars().fold(String::new(), |mut pattern, c| {
        if !c.is_alphanumeric() && c != ' ' && c != '_' {
            pattern.push('\\');
        }
        pattern.push(c);
        pattern
    })
}
