//! Keeps what is compiled and run away from the network, from other files and from secrets, as far
//! as this system can; what it cannot do, the report says.
//!
//! On Linux with bubblewrap, or with `unshare` and `setpriv` of util-linux, commands run in namespaces
//! of their own. What those really keep is found out by trying, once, before the first use.

use std::{
    collections::HashMap,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use super::{
    Isolation,
    process::{End, Job},
};
use crate::config::Toolchains;

/// How commands are confined here.
#[derive(Debug, Clone)]
pub(super) struct Sandbox {
    kind: Kind,
    isolation: Isolation,
    toolchains: Toolchains,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// `bwrap`: no network, a read-only system, no home folder, no other processes.
    Bubblewrap(PathBuf),
    /// `unshare`: no network, a read-only system. Started through `setpriv`, which has it die with this
    /// process.
    Unshare { setpriv: PathBuf, unshare: PathBuf },
    /// Limits and an empty environment alone.
    Open,
}

/// What a command may see and take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds<'a> {
    /// The one folder that it may write to.
    pub(super) folder: &'a Path,
    /// Further folders that it must be able to read.
    pub(super) readable: &'a [PathBuf],
    /// Address space of a process, in bytes.
    pub(super) memory: Option<u64>,
    /// Size of a written file, in bytes.
    pub(super) file: u64,
}

/// Makes every mount read-only but for the folder `$1`, gives up the right to undo that, and runs
/// the rest.
const CONFINE: &str = r#"
ip link set lo up 2>/dev/null
mount --bind "$1" "$1" || exit 125
while read -r _ _ _ _ point _; do
    case "$point" in "$1"|/proc|/proc/*) ;; *)
        mount -o remount,bind,ro "$point" 2>/dev/null ;;
    esac
done < /proc/self/mountinfo
shift
cd "$PWD" || exit 125
exec setpriv --bounding-set=-all --inh-caps=-all --no-new-privs "$@"
"#;

impl Sandbox {
    /// The best that works here. `cache` is a folder to try it in.
    pub(super) async fn find(cache: &Path, toolchains: &Toolchains) -> Self {
        let bubblewrap = toolchains.find("bwrap").map(Kind::Bubblewrap);
        let unshare = toolchains
            .find("setpriv")
            .zip(toolchains.find("unshare"))
            .map(|(setpriv, unshare)| Kind::Unshare { setpriv, unshare });
        for kind in [bubblewrap, unshare].into_iter().flatten() {
            if let Some(sandbox) = Self::tried(kind, cache, toolchains.clone()).await {
                return sandbox;
            }
        }
        let toolchains = toolchains.clone();
        Self { kind: Kind::Open, isolation: Isolation::default(), toolchains }
    }

    /// One kind, if it keeps anything here.
    async fn tried(kind: Kind, cache: &Path, toolchains: Toolchains) -> Option<Self> {
        let scratch = Scratch::new(cache).ok()?;
        let mut sandbox = Self { kind, isolation: Isolation::default(), toolchains };
        let (inside, outside) = (scratch.0.join("inside"), scratch.0.join("outside"));
        std::fs::create_dir_all(&inside).ok()?;
        std::fs::create_dir_all(&outside).ok()?;
        let script =
            "echo > \"$1/written\"; echo > \"$2/written\"; cat /proc/net/dev /proc/self/mountinfo";
        let bounds = Bounds { folder: &inside, readable: &[], memory: None, file: 1 << 20 };
        let job = Job {
            program: "/bin/sh".into(),
            arguments: ["-c", script, "sh"]
                .into_iter()
                .map(OsString::from)
                .chain([&inside, &outside].map(|path| path.clone().into_os_string()))
                .collect(),
            folder: inside.clone(),
            environment: sandbox.environment(&inside),
            input: None,
            time: Duration::from_secs(10),
            output: 1 << 20,
        };
        let ran = sandbox.confine(job, bounds).run().await.ok()?;
        let written = |folder: &Path| std::fs::remove_file(folder.join("written")).is_ok();
        let (wrote_inside, wrote_outside) = (written(&inside), written(&outside));
        if ran.end == End::TimedOut || !wrote_inside {
            return None;
        }
        let devices: Vec<&str> = ran
            .stdout
            .lines()
            .filter(|line| !line.contains(" - "))
            .filter_map(|line| line.split_once(':'))
            .map(|(name, _)| name.trim())
            .collect();
        sandbox.isolation = Isolation {
            network: devices.iter().all(|name| *name == "lo"),
            writes: !wrote_outside
                && match sandbox.kind {
                    Kind::Unshare { .. } => all_read_only(&ran.stdout, &inside),
                    Kind::Bubblewrap(_) | Kind::Open => true,
                },
            home: matches!(sandbox.kind, Kind::Bubblewrap(_)),
        };
        Some(sandbox)
    }

    pub(super) const fn isolation(&self) -> Isolation {
        self.isolation
    }

    pub(super) const fn toolchains(&self) -> &Toolchains {
        &self.toolchains
    }

    /// The whole environment of a command whose folder this is: toolchains, and a home and a
    /// temporary folder of its own.
    pub(super) fn environment(&self, folder: &Path) -> Vec<(OsString, OsString)> {
        let toolchains = &self.toolchains;
        let path = std::env::join_paths(&toolchains.path).unwrap_or_default();
        let mut all: Vec<(OsString, OsString)> = vec![
            ("PATH".into(), path),
            ("HOME".into(), folder.join("home").into()),
            ("TMPDIR".into(), folder.join("tmp").into()),
            ("LANG".into(), "C.UTF-8".into()),
            ("CARGO_NET_OFFLINE".into(), "true".into()),
            ("CARGO_TERM_COLOR".into(), "never".into()),
            // What is not on this machine is not fetched.
            ("RUSTUP_AUTO_INSTALL".into(), "0".into()),
            ("CARGO_LLVM_COV_SETUP".into(), "no".into()),
            // A wrapper may want a server or the network (sccache): none is used.
            ("RUSTC_WRAPPER".into(), "".into()),
            ("GOFLAGS".into(), "-mod=readonly".into()),
            ("GOPROXY".into(), "off".into()),
            ("GOTOOLCHAIN".into(), "local".into()),
        ];
        all.extend(toolchains.variables.iter().map(|(name, text)| ((*name).into(), text.clone())));
        all.extend(toolchains.folders.iter().map(|(name, folder)| ((*name).into(), folder.into())));
        all
    }

    /// The folder that a folder of programs needs: `bin` and `shims` beside what they start.
    fn installation<'a>(&self, path: &'a Path) -> &'a Path {
        let beside = path.file_name().is_some_and(|name| name == "bin" || name == "shims");
        let home = self.toolchains.home.as_deref().unwrap_or(Path::new("/"));
        path.parent()
            .filter(|up| beside && up.parent().is_some() && up.starts_with(home))
            .filter(|up| *up != home && *up != home.join(".local"))
            .unwrap_or(path)
    }

    /// The command, confined.
    pub(super) fn confine(&self, job: Job, bounds: Bounds<'_>) -> Job {
        let job = limited(job, bounds);
        let mut arguments: Vec<OsString> = Vec::new();
        let mut add = |words: &[&str]| arguments.extend(words.iter().map(OsString::from));
        let program = match &self.kind {
            Kind::Open => return job,
            Kind::Bubblewrap(program) => {
                add(&["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]);
                add(&["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]);
                // Sockets of other services are a way out, too.
                add(&["--tmpfs", "/run", "--tmpfs", "/tmp", "--tmpfs", "/var/tmp"]);
                let home = self.toolchains.home.iter().filter(|home| home.parent().is_some());
                for home in home {
                    arguments.extend(["--tmpfs".into(), home.into()]);
                }
                let folders = self.toolchains.folders.iter().map(|(_, folder)| folder.as_path());
                let programs = self.toolchains.path.iter().map(|path| self.installation(path));
                for folder in
                    programs.chain(folders).chain(bounds.readable.iter().map(PathBuf::as_path))
                {
                    arguments.extend(["--ro-bind-try".into(), folder.into(), folder.into()]);
                }
                if let Some(cargo) = self.toolchains.folder("CARGO_HOME") {
                    for secret in ["credentials", "credentials.toml"].map(|name| cargo.join(name)) {
                        if secret.exists() {
                            arguments.extend([
                                "--ro-bind".into(),
                                "/dev/null".into(),
                                secret.into(),
                            ]);
                        }
                    }
                }
                arguments.extend(["--bind".into(), bounds.folder.into(), bounds.folder.into()]);
                arguments.extend(["--chdir".into(), job.folder.clone().into(), "--".into()]);
                program
            }
            Kind::Unshare { setpriv, unshare } => {
                arguments.extend(["--pdeathsig".into(), "KILL".into(), unshare.into()]);
                let mut add = |words: &[&str]| arguments.extend(words.iter().map(OsString::from));
                add(&["--map-root-user", "--net", "--ipc", "--mount", "--pid", "--fork"]);
                add(&["--kill-child", "--mount-proc", "/bin/sh", "-c", CONFINE, "sh"]);
                arguments.push(bounds.folder.into());
                setpriv
            }
        };
        arguments.push(job.program.into());
        arguments.extend(job.arguments);
        Job { program: program.clone(), arguments, ..job }
    }
}

/// Whether every mount of a `mountinfo` but those below `inside` and those without files of anybody's
/// is read-only. Some systems do not let a mount of theirs be made so.
fn all_read_only(mountinfo: &str, inside: &Path) -> bool {
    let no_files = ["cgroup", "cgroup2", "devpts", "devtmpfs", "mqueue", "proc", "sysfs"];
    let mounts = mountinfo.lines().filter_map(|line| {
        let (mount, of) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(4);
        let (point, mut options) = (mount.next()?, mount.next()?.split(','));
        let kept = Path::new(point).starts_with(inside)
            || options.any(|option| option == "ro")
            || no_files.contains(&of.split(' ').next()?);
        Some((point, kept))
    });
    // Of two mounts at one point the later one hides the other.
    mounts.collect::<HashMap<_, _>>().into_values().all(|kept| kept)
}

/// A folder to try things in, gone when this is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(cache: &Path) -> std::io::Result<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = cache.join(format!("probe-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(Self(std::fs::canonicalize(folder)?))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is empty but for a file of one byte.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The command under the limits that a POSIX shell can set.
fn limited(job: Job, bounds: Bounds<'_>) -> Job {
    if !cfg!(unix) {
        return job;
    }
    // `-f` counts blocks of 512 bytes, `-v` kilobytes; a shell may lack `-v` (macOS does).
    let memory = bounds.memory.map(|bytes| format!("ulimit -v {} 2>/dev/null;", bytes / 1024));
    let script = format!(
        "ulimit -c 0; ulimit -f {}; {} exec \"$@\"",
        bounds.file / 512,
        memory.unwrap_or_default()
    );
    let mut arguments: Vec<OsString> = ["-c", &script, "sh"].map(OsString::from).into();
    arguments.push(job.program.into());
    arguments.extend(job.arguments);
    Job { program: "/bin/sh".into(), arguments, ..job }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_that_stays_writable_is_noticed() {
        let root = "43 42 254:0 / / ro,relatime - ext4 /dev/vda rw\n";
        let own = "65 43 254:0 /tmp/a /tmp/a rw,relatime - ext4 /dev/vda rw\n";
        let proc = "64 45 0:40 / /proc rw,nosuid - proc proc rw\n";
        let shared = "59 58 0:23 / /dev/shm rw,relatime - tmpfs tmpfs rw\n";
        let hidden = shared.replace("rw,relatime", "ro,relatime");
        let check = |mounts: &[&str]| all_read_only(&mounts.concat(), Path::new("/tmp/a"));
        assert!(check(&[root, own, proc]));
        assert!(!check(&[root, own, proc, shared]));
        assert!(check(&[root, own, proc, shared, &hidden]));
    }
}
