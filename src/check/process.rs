//! Runs one command within its limits. Whatever way a run ends (exit, time, output, a dropped
//! future), nothing that it started lives on: it is a process group of its own, killed whole. What leaves
//! that group (`setsid`) ends with its sandbox, and where there is none by itself.

use std::{
    ffi::OsString,
    path::PathBuf,
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
};

/// A command and what it may take.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    pub(super) folder: PathBuf,
    /// The whole environment.
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) input: Option<String>,
    pub(super) time: Duration,
    /// Bytes of both outputs together.
    pub(super) output: usize,
}

/// How a command ended, and what it wrote until then.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) end: End,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Success,
    Failure,
    TimedOut,
    TooMuchOutput,
}

impl Job {
    /// Runs the command. An error means that it could not be started.
    pub(super) async fn run(self) -> std::io::Result<Ran> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .current_dir(&self.folder)
            .env_clear()
            .envs(self.environment)
            .stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn()?;
        let group = Group::of(&child);
        let written = AtomicUsize::new(0);
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let (stdin, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feed = async {
            if let (Some(mut stdin), Some(input)) = (stdin, self.input) {
                // A command that does not read to the end says why by its exit.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
        };
        let ended = {
            let leader = async {
                let status = child.wait().await;
                // Children left behind hold the pipes open.
                group.kill();
                status
            };
            let read = async {
                let both = futures::future::try_join(
                    read(out, &mut stdout, &written, self.output),
                    read(err, &mut stderr, &written, self.output),
                );
                // Its error ends the wait for the leader.
                both.await.map_err(|_| ())
            };
            let all = async {
                let run = async { Ok(futures::future::join(feed, leader).await.1) };
                futures::future::try_join(run, read).await.map(|(status, _)| status)
            };
            tokio::time::timeout(self.time, all).await
        };
        group.kill();
        let end = match ended {
            Err(_) => End::TimedOut,
            Ok(Err(())) => End::TooMuchOutput,
            Ok(Ok(status)) => {
                if status?.success() {
                    End::Success
                } else {
                    End::Failure
                }
            }
        };
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Ran { end, stdout: text(stdout), stderr: text(stderr) })
    }
}

struct TooMuch;

async fn read(
    pipe: Option<impl AsyncRead + Unpin>,
    into: &mut Vec<u8>,
    written: &AtomicUsize,
    most: usize,
) -> Result<(), TooMuch> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    let mut chunk = vec![0; 64 << 10];
    while let Ok(count @ 1..) = pipe.read(&mut chunk).await {
        into.extend_from_slice(chunk.get(..count).unwrap_or_default());
        if written.fetch_add(count, Ordering::Relaxed) + count > most {
            return Err(TooMuch);
        }
    }
    Ok(())
}

/// The process group that a child leads, killed when this is dropped.
struct Group {
    /// Taken with the first kill: after the leader's end its number may be another's.
    #[cfg(unix)]
    leader: std::sync::Mutex<Option<rustix::process::Pid>>,
}

impl Group {
    #[cfg(unix)]
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self { leader: std::sync::Mutex::new(id.and_then(rustix::process::Pid::from_raw)) }
    }

    /// Elsewhere only the child itself is killed, by its handle.
    #[cfg(not(unix))]
    fn of(_: &Child) -> Self {
        Self {}
    }

    fn kill(&self) {
        #[cfg(unix)]
        if let Some(leader) =
            self.leader.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
        {
            // No such group: everything has ended.
            let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> Job {
        Job {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            folder: "/".into(),
            environment: Vec::new(),
            input: None,
            time: Duration::from_secs(20),
            output: 1 << 16,
        }
    }

    #[tokio::test]
    async fn outputs_and_exits() {
        let ran = shell("cat; echo no >&2; exit 3");
        let ran = Job { input: Some("in".to_owned()), ..ran }.run().await.expect("a shell");
        assert_eq!((ran.end, ran.stdout.as_str()), (End::Failure, "in"));
        assert_eq!(ran.stderr, "no\n");
    }

    #[tokio::test]
    async fn the_environment_is_empty() {
        let ran = shell("set").run().await.expect("a shell");
        let names: Vec<&str> = ran
            .stdout
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, _)| name)
            .collect();
        assert!(!names.contains(&"HOME") && !names.contains(&"CARGO_MANIFEST_DIR"), "{names:?}");
    }

    #[tokio::test]
    async fn limits_end_a_command() {
        let endless = Job { time: Duration::from_millis(100), ..shell("while :; do :; done") };
        assert_eq!(endless.run().await.expect("a shell").end, End::TimedOut);
        let ran = shell("while :; do echo line; done").run().await.expect("a shell");
        assert_eq!(ran.end, End::TooMuchOutput);
        assert!(ran.stdout.len() <= (1 << 16) + (64 << 10));
    }

    /// Whether a process lives; a zombie does not.
    fn lives(pid: &str) -> bool {
        std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()))
            .is_ok_and(|stat| !stat.contains(") Z"))
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn children_die_with_their_leader() {
        // The grandchild holds the pipe open for ever; the run ends all the same.
        let ran = shell("sleep 1000 & echo $!").run().await.expect("a shell");
        assert_eq!(ran.end, End::Success);
        while lives(&ran.stdout) {
            tokio::task::yield_now().await;
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn children_die_with_the_future() {
        let folder = tempfile::tempdir().expect("a folder");
        let note = folder.path().join("pid");
        let job =
            shell(&format!("sleep 1000 & echo $! > {0}.new; mv {0}.new {0}; wait", note.display()));
        let pid = tokio::select! {
            _ = job.run() => panic!("it cannot end"),
            pid = async {
                loop {
                    match std::fs::read_to_string(&note) {
                        Ok(pid) => break pid,
                        Err(_) => tokio::task::yield_now().await,
                    }
                }
            } => pid,
        };
        while lives(&pid) {
            tokio::task::yield_now().await;
        }
    }
}
