//! Programs of benches/peers: other engines and crates, compiled where that is possible.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use super::rounds::Options;
use crate::workspace::{cargo, target_dir};

/// A program in C++, by the first word of its quantities.
#[derive(Debug)]
struct Peer {
    name: &'static str,
    source: &'static str,
    /// Without it the peer is skipped.
    header: &'static str,
    /// Its second argument; the first is a folder for its files.
    count: u64,
}

/// A program of a crate that is a workspace of its own, which nothing else compiles.
#[derive(Debug)]
struct Engines {
    manifest: &'static str,
    program: &'static str,
    /// The first words of the quantities that it tells.
    names: &'static [&'static str],
}

const ENGINES: &[Engines] = &[
    Engines {
        manifest: "benches/peers/Cargo.toml",
        program: "bench-peers",
        names: &["canopydb", "fjall", "fst", "lmdb", "redb", "sled", "sqlite"],
    },
    Engines {
        manifest: "benches/peers/volatile/Cargo.toml",
        program: "volatile",
        names: &[
            "arcintern",
            "internment",
            "lasso",
            "shardedslab",
            "slab",
            "slotmap",
            "stringinterner",
            "thunderdome",
            "ustr",
        ],
    },
    // An allocator has a program for itself.
    Engines {
        manifest: "benches/peers/volatile/Cargo.toml",
        program: "jemalloc",
        names: &["jemalloc"],
    },
];

const PEERS: &[Peer] = &[Peer {
    name: "boost",
    source: "benches/peers/boost_heap.cpp",
    header: "/usr/include/boost/interprocess/managed_mapped_file.hpp",
    count: 1_000_000,
}];
/// A program that a registry has, by the first word of its quantities.
#[derive(Debug)]
struct Installed {
    name: &'static str,
    package: &'static str,
    version: &'static str,
}

const INSTALLED: &[Installed] = &[
    Installed { name: "hprofanalyzer", package: "hprof-analyzer", version: "0.3.2" },
    Installed { name: "hprofslurp", package: "hprof-slurp", version: "0.10.0" },
];

/// As `Scale::Quick` of benches/own.
const QUICK_DIVISOR: u64 = 20;

/// What the program of the quantity `name` prints; none, and a word about it, where it cannot be.
pub(super) fn run(root: &Path, name: &str, options: &Options) -> Result<Option<String>> {
    let is_its = |peer: &&Installed| name.split_once('_').is_some_and(|(it, _)| it == peer.name);
    if let Some(peer) = INSTALLED.iter().find(is_its) {
        return run_installed(root, (peer, name), options);
    }
    if let Some(engines) = engines(name) {
        return run_engine(root, (engines, name), options).map(Some);
    }
    let peer = find(name).with_context(|| format!("no program tells {name}"))?;
    let Some(program) = compiled(root, peer)? else { return Ok(None) };
    let folder = target_dir(root).join("tmp").join(format!("bench-{}", peer.name));
    fs::create_dir_all(&folder)?;
    let count = if options.quick { peer.count / QUICK_DIVISOR } else { peer.count };
    let mut command = Command::new(program);
    let output = command.arg(&folder).arg(count.to_string()).stderr(Stdio::inherit()).output();
    fs::remove_dir_all(&folder)?;
    let output = output?;
    ensure!(output.status.success(), "{}: {}", peer.name, output.status);
    Ok(Some(String::from_utf8(output.stdout)?))
}

/// The program of a crate that tells a quantity; none for those in C++.
fn engines(name: &str) -> Option<&'static Engines> {
    let (engine, _) = name.split_once('_')?;
    ENGINES.iter().find(|engines| engines.names.contains(&engine))
}

/// What the crate prints for a quantity and all others of its group.
fn run_engine(root: &Path, (engines, name): (&Engines, &str), options: &Options) -> Result<String> {
    let mut command = cargo(root);
    command.args(["run", "--release", "--quiet", "--manifest-path", engines.manifest]);
    command.args(["--bin", engines.program, "--target-dir"]);
    // Its dependencies have other features than ours: neither makes the other compile again.
    command.arg(target_dir(root).join("peers")).args(["--", name]);
    if options.quick {
        command.arg("--quick");
    }
    let output = command.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "{name}: {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// What `measure` of benches/own says of a program, which is installed below the target folder;
/// none where it cannot be.
fn run_installed(
    root: &Path,
    (peer, name): (&Installed, &str),
    options: &Options,
) -> Result<Option<String>> {
    let Installed { package, version, .. } = peer;
    let home = target_dir(root).join("peers");
    let mut install = cargo(root);
    install.args(["install", "--quiet", "--locked", package, "--version", version, "--root"]);
    install.arg(&home).arg("--target-dir").arg(home.join("build"));
    if !install.status()?.success() {
        println!("{package}: skipped, {version} does not install");
        return Ok(None);
    }
    let mut command = cargo(root);
    command.args(["run", "--release", "--quiet", "--package", "bench-own", "--bin", "measure"]);
    command.args(["--", "child", "heapdump_peer", name]).arg(home.join("bin"));
    if options.quick {
        command.arg("--quick");
    }
    let output = command.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "{name}: {}", output.status);
    Ok(Some(String::from_utf8(output.stdout)?))
}

fn find(name: &str) -> Option<&'static Peer> {
    let (program, _) = name.split_once('_')?;
    PEERS.iter().find(|peer| peer.name == program)
}

/// The program, compiled; none without its header or g++.
fn compiled(root: &Path, peer: &Peer) -> Result<Option<PathBuf>> {
    if !Path::new(peer.header).exists() {
        println!("{}: skipped, there is no {}", peer.name, peer.header);
        return Ok(None);
    }
    let folder = target_dir(root).join("xtask-bench");
    fs::create_dir_all(&folder)?;
    let program = folder.join(format!("{}_peer", peer.name));
    let mut compiler = Command::new("g++");
    compiler.args(["-std=c++17", "-O2", "-o"]).arg(&program).arg(root.join(peer.source));
    match compiler.status() {
        Ok(status) => ensure!(status.success(), "g++ {}: {status}", peer.source),
        Err(error) => {
            println!("{}: skipped, g++: {error}", peer.name);
            return Ok(None);
        }
    }
    Ok(Some(program))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_names_its_program() {
        assert_eq!(find("boost_fill").map(|peer| peer.name), Some("boost"));
        let check = |name, expected| {
            assert_eq!(engines(name).map(|engines| engines.program), expected, "{name}");
        };
        check("lmdb_work_add", Some("bench-peers"));
        check("slotmap_16_get", Some("volatile"));
        check("jemalloc_16_add", Some("jemalloc"));
        check("boost_fill", None);
        check("lmdb", None);
        assert!(find("boost").is_none());
        assert!(find("unknown_fill").is_none());
    }

    #[test]
    fn without_its_header_a_peer_is_skipped() {
        let peer = Peer { name: "none", source: "x.cpp", header: "/no/such/header.hpp", count: 1 };
        assert!(compiled(Path::new("."), &peer).unwrap().is_none());
    }
}
