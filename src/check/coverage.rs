//! What a test covers that no other test of its module does, by `cargo llvm-cov` where it is
//! installed. Asked only where mutation can say nothing: a test that calls a function and asserts
//! nothing covers it just as well.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use super::{
    Skip,
    cargo::first_error,
    harness::Harness,
    process::End,
    workshop::{Purpose, Workshop},
};

/// `cargo llvm-cov`, and the lines that are looked at.
pub(super) struct Coverage<'a> {
    pub(super) workshop: &'a Workshop,
    pub(super) harness: &'a Harness,
    /// Where the lines are in the copy.
    pub(super) copies: &'a [PathBuf],
    /// From 1.
    pub(super) lines: RangeInclusive<usize>,
}

impl Coverage<'_> {
    /// The number of lines that are run with `test` and not with the `others`. `None` where nothing on
    /// this machine can tell.
    pub(super) async fn gained(
        &self,
        test: &str,
        others: &[String],
    ) -> Result<Option<usize>, Skip> {
        let toolchains = self.workshop.sandbox().toolchains();
        let Some(program) = toolchains.find("cargo-llvm-cov") else { return Ok(None) };
        let mut before = BTreeSet::new();
        // Without a name all tests would be run.
        if !others.is_empty() {
            before = self.covered(&program, others).await?;
        }
        let now = self.covered(&program, &[test.to_owned()]).await?;
        Ok(Some(now.difference(&before).count()))
    }

    async fn covered(&self, program: &Path, tests: &[String]) -> Result<BTreeSet<usize>, Skip> {
        let mut arguments: Vec<OsString> = ["llvm-cov", "test", "--lcov"].map(Into::into).into();
        arguments.extend(self.harness.selection(self.workshop));
        arguments.extend(["--".into(), "--exact".into()]);
        arguments.extend(tests.iter().map(OsString::from));
        let (folder, time) = (self.harness.folder(), self.workshop.limits().compile);
        let ran = self.workshop.run(program, arguments, folder, Purpose::Run, time).await?;
        if ran.end != End::Success {
            return Err(Skip::ToolFailed(first_error(&self.workshop.relative(&ran.stderr))));
        }
        let here = |path: &str| self.copies.iter().any(|copy| copy == Path::new(path));
        Ok(run_lines(&ran.stdout, here).filter(|line| self.lines.contains(line)).collect())
    }
}

/// The lines that were run, of an `lcov` report's files that are meant.
fn run_lines(report: &str, meant: impl Fn(&str) -> bool) -> impl Iterator<Item = usize> {
    let mut inside = false;
    report.lines().filter_map(move |line| {
        if let Some(path) = line.strip_prefix("SF:") {
            inside = meant(path);
        }
        let (at, count) = line.strip_prefix("DA:").filter(|_| inside)?.split_once(',')?;
        (count != "0").then(|| at.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_file() {
        let report = "running 1 test\nSF:/a\nDA:1,2\nDA:2,0\nend_of_record\nSF:/b\nDA:3,1\nDA:x,1\nend_of_record\n";
        let of = |name: &str| run_lines(report, |path| path == name).collect::<Vec<_>>();
        assert_eq!((of("/a"), of("/b"), of("/c")), (vec![1], vec![3], vec![]));
    }
}
