//! Dumps that are cut, damaged or none at all, and directories that are no index.

use std::{fs, path::Path};

use pagestone_testkit::{
    hprof::{BoundaryKind, IdSize, Version, gzip, ids, tiny},
    testdata,
};

use crate::support::{Ran, folder, run};

#[track_caller]
fn build(dump: &Path, out: &Path, rest: &str) -> Ran {
    run("heapdump build", dump, &format!("--out {} {rest}", out.display()))
}

#[test]
fn a_cut_dump_leaves_a_partial_index() {
    let folder = folder();
    let dump = tiny(IdSize::Eight, Version::V102);
    let path = folder.path().join("cut.hprof");
    let whole = dump.bytes().len();
    let header_end = usize::try_from(dump.boundaries()[0].end).unwrap();
    // Ends of parts, and bytes within: each tells where reading stopped, by its code and in words.
    let ends = dump.boundaries().iter().map(|part| usize::try_from(part.end).unwrap());
    let cuts = ends.step_by(9).chain((header_end..whole).step_by(whole / 20));
    for cut in cuts.chain([header_end + 5, whole - 10]) {
        let Some(offset) = dump.stop_of(cut as u64) else { continue };
        let offset = format!("offset {offset}: ");
        fs::write(&path, &dump.bytes()[..cut]).unwrap();
        let out = folder.path().join(format!("{cut}.index"));
        let ran =
            build(&path, &out, "--replace").code(1).says(&["pagestone: ", "cut.hprof: ", &offset]);
        assert!(ran.out.contains(", partial"), "{ran:?}");
        run("heapdump info", &out, "").code(1).says(&[&offset]).shows(&["no, damaged"]);
        run("heapdump top", &out, "").code(0).says(&["partial", &offset]);
    }
    fs::write(&path, dump.bytes()).unwrap();
    build(&path, &folder.path().join("whole.index"), "").code(0);
}

#[test]
fn the_offset_told_is_that_of_the_part_that_is_cut() {
    let folder = folder();
    let dump = tiny(IdSize::Eight, Version::V102);
    let mut parts = dump.boundaries().iter();
    let part = parts.rfind(|part| part.kind == BoundaryKind::SubRecord).unwrap();
    let bytes = &dump.bytes()[..=usize::try_from(part.start).unwrap()];
    let (path, out) = (folder.path().join("a.hprof"), folder.path().join("index"));
    fs::write(&path, bytes).unwrap();
    build(&path, &out, "--json").code(1).says(&[&format!("offset {}: ", part.start)]);
    let id = format!("{:#x} --json", ids::LOADER);
    assert_eq!(run("heapdump obj", &out, &id).code(0).json()[0]["id"], ids::LOADER);
}

#[test]
fn a_packed_dump_that_is_cut_leaves_a_partial_index() {
    let folder = folder();
    let packed = fs::read(testdata("mvn_version.hprof.gz")).unwrap();
    let (path, out) = (folder.path().join("a.hprof.gz"), folder.path().join("index"));
    fs::write(&path, &packed[..packed.len() / 10 * 9]).unwrap();
    let built = build(&path, &out, "--json").code(1).says(&["offset ", "compressed"]);
    assert_eq!(built.json()[0]["complete"], false);
    let top = run("heapdump top", &out, "--json").code(0);
    assert_eq!(top.json().len(), 20);
    drop(top.says(&["partial"]));

    let whole = gzip(tiny(IdSize::Four, Version::V101).bytes());
    fs::write(&path, &whole).unwrap();
    build(&path, &out, "--replace").code(0);
}

#[test]
fn what_is_no_dump_is_refused() {
    let folder = folder();
    let out = folder.path().join("index");
    let path = |name: &str| folder.path().join(name);
    fs::write(path("empty"), b"").unwrap();
    fs::write(path("text"), b"certainly not a heap dump, but long enough").unwrap();
    fs::write(path("head"), b"JAVA PROFILE 1.0.2\0\0\0").unwrap();
    fs::create_dir(path("directory")).unwrap();
    for (name, why) in [
        ("absent", "No such file"),
        ("empty", "empty"),
        ("text", "JAVA PROFILE"),
        ("head", "header"),
        ("directory", "directory"),
    ] {
        let ran = build(&path(name), &out, "").code(3).says(&["pagestone: ", name, why]);
        assert_eq!(ran.out, "");
        assert!(!out.exists(), "{name}");
    }
}

#[test]
fn what_is_no_index_is_refused() {
    let folder = folder();
    for command in ["info", "top"] {
        let command = format!("heapdump {command}");
        run(&command, folder.path(), "").code(3).says(&["pagestone: "]);
        run(&command, &folder.path().join("absent"), "").code(3).says(&["absent"]);
    }
}

#[test]
fn a_damaged_index_is_a_finding() {
    let folder = folder();
    let (path, out) = (folder.path().join("a.hprof"), folder.path().join("index"));
    fs::write(&path, tiny(IdSize::Eight, Version::V102).bytes()).unwrap();
    build(&path, &out, "").code(0);
    let table = out.join("classes.rec");
    let mut bytes = fs::read(&table).unwrap();
    bytes[0] ^= 1;
    fs::write(&table, &bytes).unwrap();
    run("heapdump top", &out, "").code(1).says(&["classes.rec"]);
    fs::write(&table, &bytes[1..]).unwrap();
    run("heapdump top", &out, "").code(1).says(&["classes.rec"]);
}
