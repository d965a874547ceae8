// SPDX-License-Identifier: GPL-2.0

//! A private package state in the cache, for what the machine's release is too old for.
//!
//! It has its own lists, status and archives, and takes its packages from the mirror that the
//! machine's own configuration names. The machine's configuration is read and never changed.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};
use std::{fs, thread};

use anyhow::{bail, Context as _, Result};

use crate::command::{command, new_log, output, run_long, size};
use crate::context::{create_dir, read, write, Context, Lock};
use crate::Arch;

/// The suites in which packages are looked for; the oldest one has an older kernel.
const SUITES: &str = "bookworm trixie trixie-backports sid experimental";

/// Dependencies come from the release, unless only a newer suite has them; what is older comes when
/// it is asked for by its version.
const PREFERENCES: &str = "\
Package: *
Pin: release n=bookworm
Pin-Priority: 40

Package: *
Pin: release a=unstable
Pin-Priority: 60

Package: *
Pin: release a=experimental
Pin-Priority: 50
";

/// Lists that are older than this are fetched again when something is looked for.
const LISTS_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// The key ring that signs the archive where the machine's configuration names none.
const KEYRINGS: [&str; 2] = [
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/debian-archive-keyring.pgp",
];

/// Lines of `sources.list` and fields of `*.sources` that belong to the machine's own release.
const NOT_COPIED: [&str; 8] = [
    "types",
    "uris",
    "suites",
    "components",
    "enabled",
    "architectures",
    "targets",
    "languages",
];

/// Files and directories of packages that are not unpacked.
const NOT_UNPACKED: [&str; 6] = [
    "./usr/bin/*lto-dump*",
    "./usr/share/doc",
    "./usr/share/locale",
    "./usr/share/man",
    "./usr/src/rustc-*/compiler",
    "./usr/src/rustc-*/src",
];

/// A version of a package in the private state, and the suite that has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) version: String,
    pub(crate) suite: String,
}

/// The private package state with lists that are fresh enough.
pub(crate) struct Apt {
    configuration: PathBuf,
    archives: PathBuf,
    log: PathBuf,
    /// One set-up at a time uses the state.
    _lock: Lock,
}

impl Apt {
    /// Sets the state up for the machine's mirror, and fetches the lists if they are old.
    pub(crate) fn open(cx: &mut Context<'_>) -> Result<Self> {
        Self::open_for(cx, Arch::Amd64)
    }

    /// The same for the packages of an architecture, which has a state of its own.
    pub(crate) fn open_for(cx: &mut Context<'_>, arch: Arch) -> Result<Self> {
        let name = match arch {
            Arch::Amd64 => "apt".to_owned(),
            Arch::Arm64 => format!("apt-{arch}"),
        };
        let lock = cx.lock(&name)?;
        let root = cx.cache.join(&name);
        for directory in ["lists/partial", "archives/partial", "sources", "state"] {
            create_dir(&root.join(directory))?;
        }
        let mirror = machine_mirror()?;
        let stanza = mirror.stanza();
        write(&root.join("sources/debian.sources"), &stanza)?;
        write(&root.join("preferences"), PREFERENCES)?;
        write(&root.join("status"), "")?;
        let apt = Self {
            configuration: root.join("apt.conf"),
            archives: root.join("archives"),
            log: cx.log(&name)?,
            _lock: lock,
        };
        write(&apt.configuration, configuration(&root, arch))?;
        let stamp = root.join("lists.stamp");
        let fresh = !cx.update && is_fresh(&stamp, &stanza);
        if !fresh && !cx.lists_tried.contains(&arch) {
            cx.lists_tried.push(arch);
            cx.say(format!(
                "fetching {arch} package lists of {SUITES} (about 40 MB, a minute or less)"
            ));
            new_log(&apt.log)?;
            match apt.run(cx, &["update"], &root.join("lists"), "fetching lists") {
                Ok(()) => write(&stamp, &stanza)?,
                Err(_) => cx.say("some lists could not be had; going on with those that could"),
            }
        }
        Ok(apt)
    }

    /// The packages whose names start with `prefix`.
    pub(crate) fn names(&self, prefix: &str) -> Result<Vec<String>> {
        let text = output(self.apt("apt-cache").args(["pkgnames", prefix]))?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// The versions of `package` that can be had, newest first.
    pub(crate) fn versions(&self, package: &str) -> Result<Vec<Candidate>> {
        let mut all = self.versions_of(&[package.to_owned()])?;
        Ok(all.remove(package).unwrap_or_default())
    }

    /// The versions that can be had of each of these packages, newest first.
    pub(crate) fn versions_of(
        &self,
        packages: &[String],
    ) -> Result<BTreeMap<String, Vec<Candidate>>> {
        let text = output(self.apt("apt-cache").arg("madison").args(packages))?;
        Ok(parse_madison(&text))
    }

    /// Fetches one package, without what it depends on, and unpacks it into `target`.
    pub(crate) fn unpack(
        &self,
        cx: &mut Context<'_>,
        package: &str,
        version: &str,
        target: &Path,
    ) -> Result<()> {
        self.unpack_all(cx, package, &[format!("{package}={version}")], target)
    }

    /// Fetches packages, each as `NAME=VERSION`, without what they depend on, and unpacks them into
    /// `target`.
    pub(crate) fn unpack_all(
        &self,
        cx: &mut Context<'_>,
        what: &str,
        packages: &[String],
        target: &Path,
    ) -> Result<()> {
        let archives = self.empty_archives()?;
        let mut download = self.apt("apt-get");
        download.args(["-q", "download"]).args(packages);
        download.current_dir(&archives);
        self.fetch(cx, &mut download, what)?;
        self.unpack_archives(target)
    }

    /// Fetches packages, each as `NAME=VERSION`, with all that they depend on in `suite`, and
    /// unpacks all into `target`.
    pub(crate) fn unpack_closure(
        &self,
        cx: &mut Context<'_>,
        what: &str,
        packages: &[String],
        suite: &str,
        target: &Path,
    ) -> Result<()> {
        self.empty_archives()?;
        let mut download = self.apt("apt-get");
        download.args(["-q", "-y", "-d", "-t", suite, "install"]);
        download.args(packages);
        self.fetch(cx, &mut download, what)?;
        self.unpack_archives(target)
    }

    fn fetch(&self, cx: &mut Context<'_>, download: &mut Command, what: &str) -> Result<()> {
        let archives = self.archives.clone();
        run_long(cx, download, &self.log, |time| {
            fetched(&format!("fetching {what}"), time, &archives)
        })
    }

    fn run(
        &self,
        cx: &mut Context<'_>,
        arguments: &[&str],
        grows: &Path,
        what: &str,
    ) -> Result<()> {
        let mut apt = self.apt("apt-get");
        apt.arg("-q").args(arguments);
        run_long(cx, &mut apt, &self.log, |time| fetched(what, time, grows))
    }

    /// The program of apt on this state; the machine's own settings, proxies for one, come first.
    fn apt(&self, program: &str) -> Command {
        let mut apt = command(program);
        apt.arg("-c").arg(&self.configuration);
        apt
    }

    fn empty_archives(&self) -> Result<PathBuf> {
        crate::context::remove_dir(&self.archives)?;
        create_dir(&self.archives.join("partial"))?;
        Ok(self.archives.clone())
    }

    fn unpack_archives(&self, target: &Path) -> Result<()> {
        create_dir(target)?;
        let entries = fs::read_dir(&self.archives)?.collect::<std::io::Result<Vec<_>>>()?;
        let mut archives: Vec<_> = entries
            .iter()
            .map(fs::DirEntry::path)
            .filter(|path| path.extension().is_some_and(|suffix| suffix == "deb"))
            .collect();
        // The biggest first, so that no processor is left alone with one in the end.
        archives.sort_by_key(|path| Reverse(fs::metadata(path).map_or(0, |data| data.len())));
        let next = AtomicUsize::new(0);
        let work = || -> Result<()> {
            while let Some(archive) = archives.get(next.fetch_add(1, Ordering::Relaxed)) {
                unpack_archive(archive, target)?;
            }
            Ok(())
        };
        let processors = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            let workers: Vec<_> = (0..processors).map(|_| scope.spawn(work)).collect();
            workers
                .into_iter()
                .try_for_each(|worker| worker.join().unwrap_or_else(|_| bail!("it panicked")))
        })?;
        self.empty_archives().map(|_| ())
    }
}

/// Unpacks a package into `target`, but for what nothing here reads.
fn unpack_archive(archive: &Path, target: &Path) -> Result<()> {
    let mut files = command("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(archive)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run dpkg-deb")?;
    let stream = files.stdout.take().context("dpkg-deb has no output")?;
    let mut tar = command("tar");
    tar.arg("-C")
        .arg(target)
        .args(["-x", "--no-wildcards-match-slash"]);
    for pattern in NOT_UNPACKED {
        tar.arg(format!("--exclude={pattern}"));
    }
    output(tar.stdin(stream))?;
    let status = files.wait()?;
    if !status.success() {
        bail!("dpkg-deb cannot read {} ({status})", archive.display());
    }
    Ok(())
}

fn fetched(what: &str, time: Duration, directory: &Path) -> String {
    let megabytes = size(directory) / 1_000_000;
    format!("  … {what}: {megabytes} MB, {} s", time.as_secs())
}

/// Whether lists of these sources were fetched, and not long ago; `stamp` was written then.
fn is_fresh(stamp: &Path, sources: &str) -> bool {
    let age = fs::metadata(stamp)
        .and_then(|data| data.modified())
        .ok()
        .and_then(|time| SystemTime::now().duration_since(time).ok());
    age.is_some_and(|age| age < LISTS_AGE)
        && fs::read_to_string(stamp).is_ok_and(|text| text == sources)
}

/// The settings of the private state; they are read after those of the machine.
fn configuration(root: &Path, arch: Arch) -> String {
    let root = root.display();
    format!(
        r##"#clear APT::Default-Release;
#clear APT::Update;
#clear APT::Architectures;
#clear AptCli::Hooks;
#clear DPkg;
APT::Architecture "{arch}";
APT::Architectures {{ "{arch}"; }};
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Dir::Cache "{root}";
Dir::Cache::archives "{root}/archives";
Dir::Cache::pkgcache "{root}/pkgcache.bin";
Dir::Cache::srcpkgcache "";
Dir::Etc::preferences "{root}/preferences";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{root}/sources";
Dir::State "{root}/state";
Dir::State::lists "{root}/lists";
Dir::State::status "{root}/status";
"##
    )
}

/// Reads a table of `apt-cache madison`.
fn parse_madison(text: &str) -> BTreeMap<String, Vec<Candidate>> {
    let mut all = BTreeMap::<_, Vec<_>>::new();
    for line in text.lines() {
        let columns: Vec<_> = line.split('|').map(str::trim).collect();
        let &[package, version, origin] = columns.as_slice() else {
            continue;
        };
        let words: Vec<_> = origin.split_whitespace().collect();
        let &[_, suite, _, "Packages"] = words.as_slice() else {
            continue;
        };
        let suite = suite.split('/').next().unwrap_or_default();
        all.entry(package.to_owned()).or_default().push(Candidate {
            version: version.to_owned(),
            suite: suite.to_owned(),
        });
    }
    all
}

/// The mirror of the machine's own configuration.
#[derive(Debug, Eq, PartialEq)]
struct Mirror {
    uris: String,
    /// How it is to be used, as fields of a `*.sources` file: `Signed-By` and the like.
    fields: Vec<(String, String)>,
}

/// A source entry for suites of the machine's mirror.
pub(crate) fn sources(suites: &str) -> Result<String> {
    Ok(machine_mirror()?.entry(suites))
}

impl Mirror {
    /// The source entry of the private state.
    fn stanza(&self) -> String {
        self.entry(SUITES)
    }

    fn entry(&self, suites: &str) -> String {
        let mut text = format!(
            "Types: deb\nURIs: {}\nSuites: {suites}\nComponents: main\nTargets: Packages\n",
            self.uris
        );
        for (name, value) in &self.fields {
            text += &format!("{name}: {value}\n");
        }
        text
    }
}

fn machine_mirror() -> Result<Mirror> {
    let release = read(Path::new("/etc/os-release"))?;
    let codename = release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .map(|name| name.trim_matches('"'))
        .context("/etc/os-release names no release (VERSION_CODENAME)")?;
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    let mut parts: Vec<_> = fs::read_dir("/etc/apt/sources.list.d")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    parts.sort();
    files.extend(parts);
    let mut found = None;
    for file in files.iter().filter(|file| file.is_file()) {
        let entries = match file.extension().and_then(|suffix| suffix.to_str()) {
            Some("list") => parse_list(&read(file)?),
            Some("sources") => parse_sources(&read(file)?),
            _ => continue,
        };
        found = found.or_else(|| choose_mirror(&entries, codename));
    }
    let Some(mut mirror) = found else {
        bail!("no entry of /etc/apt names a mirror of the release {codename}");
    };
    let signed = |(name, _): &(String, String)| name.eq_ignore_ascii_case("signed-by");
    if !mirror.fields.iter().any(signed) {
        if let Some(ring) = KEYRINGS.iter().find(|ring| Path::new(ring).exists()) {
            mirror.fields.push(("Signed-By".into(), (*ring).into()));
        }
    }
    Ok(mirror)
}

/// One entry of the machine's sources: names of fields in lower case, values as written.
type Entry = Vec<(String, String)>;

fn field<'a>(entry: &'a Entry, name: &str) -> &'a str {
    entry
        .iter()
        .find(|(key, _)| key == name)
        .map_or("", |(_, value)| value)
}

/// The first entry that has the main packages of the release `codename` itself.
fn choose_mirror(entries: &[Entry], codename: &str) -> Option<Mirror> {
    let has = |entry: &Entry, name: &str, word: &str| {
        field(entry, name).split_whitespace().any(|w| w == word)
    };
    let release = [codename, "stable", "oldstable", "testing", "unstable"];
    let entry = entries.iter().find(|entry| {
        has(entry, "types", "deb")
            && has(entry, "components", "main")
            && release.iter().any(|suite| has(entry, "suites", suite))
            && !field(entry, "uris").starts_with("cdrom:")
            && !field(entry, "uris").contains("debian-security")
            && !matches!(field(entry, "enabled"), "no" | "false" | "0")
    })?;
    Some(Mirror {
        uris: field(entry, "uris").to_owned(),
        fields: entry
            .iter()
            .filter(|(name, _)| !NOT_COPIED.contains(&name.as_str()))
            .cloned()
            .collect(),
    })
}

/// Reads one-line entries: `deb [ option=value … ] uri suite component …`.
fn parse_list(text: &str) -> Vec<Entry> {
    text.lines().filter_map(parse_list_line).collect()
}

fn parse_list_line(line: &str) -> Option<Entry> {
    let line = line.split('#').next()?.trim();
    let (kind, rest) = line.split_once(char::is_whitespace)?;
    let mut entry = vec![("types".to_owned(), kind.to_owned())];
    let mut rest = rest.trim_start();
    if let Some(options) = rest.strip_prefix('[') {
        let (options, after) = options.split_once(']')?;
        for option in options.split_whitespace() {
            let (name, value) = option.split_once('=')?;
            let name = match name.trim_end_matches(['+', '-']) {
                "arch" => "architectures",
                "lang" => "languages",
                "target" => "targets",
                name => name,
            };
            entry.push((name.to_ascii_lowercase(), value.replace(',', " ")));
        }
        rest = after.trim_start();
    }
    let mut words = rest.split_whitespace();
    entry.push(("uris".to_owned(), words.next()?.to_owned()));
    entry.push(("suites".to_owned(), words.next()?.to_owned()));
    entry.push(("components".to_owned(), words.collect::<Vec<_>>().join(" ")));
    Some(entry)
}

/// Reads entries in deb822 format: paragraphs of fields, whose values may go on over lines.
fn parse_sources(text: &str) -> Vec<Entry> {
    let mut entries = vec![Entry::new()];
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some(entry) = entries.last_mut() else {
            continue;
        };
        if line.trim().is_empty() {
            entries.push(Entry::new());
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = entry.last_mut() {
                value.push('\n');
                value.push_str(line);
            }
        } else if let Some((name, value)) = line.split_once(':') {
            entry.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    entries.retain(|entry| !entry.is_empty());
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEB822: &str = "\
# The archive.
Types: deb
URIs: http://security.example/debian-security
Suites: bookworm bookworm-security
Components: main

Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
Enabled: no

Types: deb deb-src
URIs: mirror+file:/etc/apt/mirrors/debian.list
Suites: bookworm bookworm-updates
Components: main contrib
Check-Valid-Until: no
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 key
";

    #[test]
    fn mirror_of_a_deb822_file() {
        let mirror = choose_mirror(&parse_sources(DEB822), "bookworm").unwrap();
        assert_eq!(mirror.uris, "mirror+file:/etc/apt/mirrors/debian.list");
        assert_eq!(
            mirror.stanza(),
            "Types: deb\nURIs: mirror+file:/etc/apt/mirrors/debian.list\n\
             Suites: bookworm trixie trixie-backports sid experimental\nComponents: main\n\
             Targets: Packages\ncheck-valid-until: no\nsigned-by: \n \
             -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n key\n"
        );
    }

    #[test]
    fn mirror_of_a_one_line_file() {
        let list = "# comment\n\
                    deb cdrom:[Debian GNU/Linux 13]/ trixie main\n\
                    deb http://security.example/debian-security trixie-security main\n\
                    deb-src http://mirror.example/debian trixie main\n\
                    deb [arch=amd64 signed-by=/ring.gpg] http://mirror.example/debian trixie main # x\n";
        let mirror = choose_mirror(&parse_list(list), "trixie").unwrap();
        assert_eq!(mirror.uris, "http://mirror.example/debian");
        assert_eq!(
            mirror.fields,
            [("signed-by".to_owned(), "/ring.gpg".to_owned())]
        );
    }

    #[test]
    fn third_parties_are_no_mirror() {
        let list = "deb https://packages.example/apt tool-bookworm main\n\
                    deb https://mirror.example/debian bookworm-updates main\n\
                    deb https://mirror.example/debian bookworm contrib\n";
        assert_eq!(choose_mirror(&parse_list(list), "bookworm"), None);
    }

    #[test]
    fn lists_of_another_mirror_are_not_fresh() {
        let folder = tempfile::tempdir().unwrap();
        let stamp = folder.path().join("stamp");
        assert!(!is_fresh(&stamp, "URIs: a"));
        write(&stamp, "URIs: a").unwrap();
        assert!(is_fresh(&stamp, "URIs: a"));
        assert!(!is_fresh(&stamp, "URIs: b"));
        let old = SystemTime::now() - 2 * LISTS_AGE;
        fs::File::options()
            .write(true)
            .open(&stamp)
            .and_then(|file| file.set_modified(old))
            .unwrap();
        assert!(!is_fresh(&stamp, "URIs: a"));
        fs::remove_file(stamp).unwrap();
    }

    #[test]
    fn versions_of_madison() {
        let text = " linux-source-7.3 | 7.3.4-1~bpo13+1 | http://m/debian trixie-backports/main amd64 Packages\n\
                    linux-source-7.3 | 7.3~rc7-1~exp1 | http://m/debian experimental/main amd64 Packages\n     \
                    linux | 7.3.4-1 | http://m/debian sid/main Sources\n";
        let all = parse_madison(text);
        assert_eq!(all.len(), 1);
        let found = &all["linux-source-7.3"];
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].version, "7.3.4-1~bpo13+1");
        assert_eq!(found[0].suite, "trixie-backports");
    }
}
