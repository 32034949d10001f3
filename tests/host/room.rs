//! A program with other files than this machine has (`tests/servers/room`): as root, in namespaces of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::servers::leash::{End, Leash};
use crate::servers::servers;

/// How long a test waits for what should come soon, beside a busy compiler.
const PATIENCE: Duration = Duration::from_secs(60);

/// A room, before and while its program runs; gone, with all that runs in it, when it is dropped.
pub(crate) struct Room {
    leash: Option<Leash>,
    /// What was said to its syslog.
    syslog: Arc<Mutex<String>>,
    folder: tempfile::TempDir,
}

impl Room {
    /// An empty one.
    pub(crate) fn new() -> Self {
        assert!(rustix::process::geteuid().is_root(), "only root can lay files over others: run this test as root");
        let folder = tempfile::Builder::new().prefix("bulla-test-").tempdir_in("/dev/shm").unwrap();
        for name in ["run", "tree"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let room = Self { leash: None, syslog: Arc::default(), folder };
        room.listen();
        room
    }

    /// Takes what programs say to syslog, until the room is gone.
    fn listen(&self) {
        let socket = UnixDatagram::bind(self.run().join("log.socket")).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let heard = Arc::downgrade(&self.syslog);
        thread::spawn(move || {
            let mut bytes = [0; 16 << 10];
            loop {
                let read = socket.recv(&mut bytes);
                let Some(heard) = heard.upgrade() else { return };
                if let Ok(length) = read {
                    let said = String::from_utf8_lossy(&bytes[..length]);
                    heard.lock().unwrap().push_str(&format!("{}\n", said.trim_end_matches(['\n', '\0'])));
                }
            }
        });
    }

    /// Its `/run`, seen from here.
    pub(crate) fn run(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// A place for files of the test that is seen inside at the same path.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file of the room by its path inside, seen from here. Where this machine has a link, such as `/bin`, it is
    /// followed.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        let path = Path::new(path).strip_prefix("/").unwrap();
        if let Ok(rest) = path.strip_prefix("run") {
            return self.run().join(rest);
        }
        let mut parts = path.components();
        let first = Path::new("/").join(parts.next().unwrap());
        let real = fs::canonicalize(&first).unwrap_or(first);
        self.path("tree").join(real.strip_prefix("/").unwrap()).join(parts.as_path())
    }

    /// Makes a folder there.
    pub(crate) fn folder(&self, path: &str, mode: u32) {
        let folder = self.at(path);
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Puts a file there.
    pub(crate) fn write(&self, path: &str, text: &str) {
        self.put(path, text, 0o644);
    }

    /// Puts a program there.
    pub(crate) fn script(&self, path: &str, text: &str) {
        self.put(path, text, 0o755);
    }

    /// Puts a file with this mode there.
    pub(crate) fn put(&self, path: &str, text: &str, mode: u32) {
        let file = self.at(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Puts a link to a file of this machine there.
    pub(crate) fn link(&self, path: &str, target: &Path) {
        let file = self.at(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, file).unwrap();
    }

    /// What is at a path inside, where links lead, seen from here.
    pub(crate) fn inside(&self, path: &str) -> PathBuf {
        let first = self.first().unwrap_or_else(|| panic!("nothing runs:\n{}", self.log()));
        let path = self.command(&["readlink", "-f", path]).stdout;
        PathBuf::from(format!("/proc/{first}/root{}", String::from_utf8(path).unwrap().trim()))
    }

    /// Puts a folder of this machine there, with all that is in it.
    pub(crate) fn copy(&self, from: &Path, path: &str) {
        let folder = self.at(path);
        fs::create_dir_all(&folder).unwrap();
        let copied = Command::new("cp").arg("-a").arg(from.join(".")).arg(&folder).output().unwrap();
        assert!(copied.status.success(), "{copied:?}");
    }

    /// Starts the program that it is for, once its files are in place.
    pub(crate) fn start(&mut self, argv: &[&str]) {
        let mut command = Command::new(servers::script("room"));
        command.arg(self.run()).arg(self.path("tree")).args(argv);
        self.leash = Some(Leash::spawn(argv[0], &command, &self.path("log"), End::default()));
        let root = |first: u32| Path::new("/proc").join(first.to_string()).join("root");
        let is_there = |first: u32| root(first).join("run/log.socket").exists();
        self.until("the room is there", || self.first().is_some_and(is_there));
    }

    /// Runs another program in it, to its end.
    pub(crate) fn command(&self, argv: &[&str]) -> Output {
        let first = self.first().unwrap_or_else(|| panic!("nothing runs:\n{}", self.log())).to_string();
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let mut command = Command::new("nsenter");
        command.args(["-t", &first, "-m", "-p", "--wd=/", "--", "env", "-i", path]).args(argv);
        command.output().unwrap()
    }

    /// The first process of its namespace, seen from here.
    fn first(&self) -> Option<u32> {
        let outer = self.leash.as_ref()?.server()?;
        let children = fs::read_to_string(format!("/proc/{outer}/task/{outer}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }

    /// Whether the program has ended.
    pub(crate) fn ended(&mut self) -> bool {
        self.leash.as_mut().is_none_or(|leash| leash.ended().is_some())
    }

    /// What was said in it.
    pub(crate) fn log(&self) -> String {
        let said = fs::read(self.path("log")).unwrap_or_default();
        format!("{}{}", String::from_utf8_lossy(&said), self.syslog.lock().unwrap())
    }

    pub(crate) fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < end, "{what}: not within {PATIENCE:?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
