//! Tables: import from every format, what does not fit, lookups, join, export, verify.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Ran, feed, folder, run};

const VISITS: &str =
    "id,user,score,page\n7,2,0.5,\"a, b\"\n3,1,-1.5,home\n5,2,2,\"say \"\"hi\"\"\"\n";
const SCHEMA: &str = "id u64 canonical unique\nuser u32be multi\nscore f64\npage bytes12\n\
                      by_user(user, score) unique\n";

struct Folder {
    folder: TempDir,
    table: PathBuf,
}

impl Folder {
    fn new() -> Self {
        let folder = folder();
        let table = folder.path().join("visits");
        Self { folder, table }
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    #[track_caller]
    fn run(&self, command: &str, rest: &str) -> Ran {
        let rest = rest.replace("@/", &format!("{}/", self.folder.path().display()));
        run(&format!("table {command}"), &self.table, &rest)
    }

    /// A folder with the table of visits.
    #[track_caller]
    fn of_visits() -> Self {
        let made = Self::new();
        made.write("visits.csv", VISITS);
        made.write("schema", SCHEMA);
        drop(made.run("import", "@/visits.csv --schema @/schema").code(0).shows(&["3 rows added"]));
        made
    }

    #[track_caller]
    fn ids(&self, command: &str, rest: &str) -> Vec<u64> {
        let ran = self.run(command, &format!("{rest} --json")).code(0);
        ran.json().iter().map(|row| row["id"].as_u64().unwrap()).collect()
    }
}

#[test]
fn a_table_is_imported_and_asked() {
    let visits = Folder::of_visits();
    let row = json!({"id": 7, "user": 2, "score": 0.5, "page": "a, b"});
    assert_eq!(visits.run("get", "--by id 7 --json").code(0).json(), [row]);
    assert_eq!(visits.ids("get", "--by user 2"), [5, 7]);
    assert_eq!(visits.ids("get", "--by by_user 2,0.5 1"), [7, 3]);
    assert_eq!(visits.ids("range", "--by id 3..7"), [3, 5]);
    assert_eq!(visits.ids("range", "--by id 4..=7"), [5, 7]);
    assert_eq!(visits.ids("range", "--by id .. --limit 1"), [3]);
    assert_eq!(visits.ids("range", "--by by_user 2,1..2"), [0; 0]);
    assert_eq!(visits.ids("range", "--by by_user 2,1..=2"), [5]);
    assert_eq!(visits.ids("top", "--by by_user --limit 2"), [5, 7]);
    assert_eq!(visits.ids("top", "--by by_user --lowest"), [3, 7, 5]);
    let missing = visits.run("get", "--by id 7 8").code(1).says(&["no row of id = 8"]);
    assert!(missing.out.contains("a, b") && missing.out.contains(" ms]"), "{missing:#?}");
    visits.run("get", "--by page home").code(2).says(&["no key `page`", "by_user"]);
    visits.run("get", "--by id x").code(2).says(&["`x`", "an integer"]);
    visits.run("get", "--by by_user 1,2,3").code(2).says(&["3 values"]);
    visits.run("range", "--by id 7").code(2).says(&["no range"]);
    run("table get", &visits.folder.path().join("absent"), "--by id 7").code(3);
    visits.run("verify", "").code(0).shows(&["3 rows, nothing wrong found"]);
}

#[test]
fn what_is_exported_is_imported_again() {
    let visits = Folder::of_visits();
    let csv = visits.run("export", "").code(0).out;
    assert_eq!(
        csv,
        "id,user,score,page\n3,1,-1.5,home\n5,2,2.0,\"say \"\"hi\"\"\"\n7,2,0.5,\"a, b\"\n"
    );
    assert_eq!(visits.run("range", "--by id .. --csv").out, csv);
    let json = visits.run("export", "--by user --format json").code(0).out;
    let schema = visits.run("info", "--schema").code(0).out;
    let again = Folder::new();
    again.write("schema", &schema);
    again.write("rows.jsonl", &json);
    again.run("import", "@/rows.jsonl --schema @/schema").code(0);
    assert_eq!(again.run("export", "").out, csv);
    assert_eq!(again.run("info", "--schema").out, schema);
    let described = visits.run("info", "--json").code(0).json().remove(0);
    assert_eq!((&described["rows"], &described["row_bytes"]), (&json!(3), &json!(32)));
    assert_eq!(described["keys"][2]["columns"], json!(["user", "score"]));
    assert_eq!(described["columns"][1], json!({"name": "user", "kind": "u32be", "offset": 8}));
    visits.run("info", "").code(0).shows(&["3 of 32 bytes", "by_user(user, score) unique"]);
}

#[test]
fn the_schema_comes_from_the_input() {
    let made = Folder::new();
    made.write("rows.tsv", "id\tbig\tdebt\tratio\tzip\n1\t18446744073709551616\t-4\t1e3\t007\n");
    made.run("import", "@/rows.tsv --canonical id --unique id --multi debt_zip(debt,zip)").code(0);
    let schema = made.run("info", "--schema").out;
    assert_eq!(
        schema,
        "id u64le canonical unique\nbig u128le\ndebt i64le\nratio f64le\nzip bytes3\n\
         debt_zip(debt, zip) multi\n"
    );
    let row = json!({"id": 1, "debt": -4, "ratio": 1000.0, "zip": "007"});
    let found = made.run("get", "--by debt_zip --json -- -4,007").code(0);
    assert!(found.out.contains("\"big\":18446744073709551616,"), "{}", found.out);
    let mut found: Value =
        serde_json::from_str(&found.out.replace("18446744073709551616", "0")).unwrap();
    found.as_object_mut().unwrap().remove("big");
    assert_eq!(found, row);

    let lines = Folder::new();
    lines.write("rows.jsonl", "{\"a\":1,\"b\":true}\n\n{\"b\":false,\"c\":\"7\",\"a\":2}\n");
    let ran = lines.run("import", "@/rows.jsonl --multi a").code(0);
    assert!(ran.err.is_empty(), "{ran:#?}");
    assert_eq!(lines.run("info", "--schema").out, "a u64le multi\nb u64le\nc bytes1\n");
    let plain = Folder::new();
    plain.write("rows.csv", "-5,x\n6,yz\n");
    plain.run("import", "@/rows.csv --no-header --canonical c1").code(0);
    assert_eq!(plain.run("export", "").out, "c1,c2\n-5,x\n6,yz\n");
}

/// The lines and rows of the side file.
fn rejected(path: &Path) -> Vec<(u64, String)> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let rows = reader.records().map(|row| {
        let row = row.unwrap();
        (row[0].parse().unwrap(), row[2].to_owned())
    });
    rows.collect()
}

#[test]
fn rows_that_do_not_fit_are_kept_aside_with_their_lines() {
    let made = Folder::new();
    let schema = made.write("schema", "id u8 canonical\nname bytes3\n");
    made.write(
        "rows.csv",
        "name,id\r\nabc,1\r\nabcd,2\r\n\r\n\"a\nb\",3\r\nx,256\r\nx\r\nx,\r\ny,1.5\r\nz,9\r\n",
    );
    let ran = made.run("import", "@/rows.csv --schema @/schema --json").code(1);
    let ran = ran.says(&["line 3: column `name`: \"abcd\"", "5 rows do not fit"]);
    let told = ran.json().remove(0);
    assert_eq!((&told["added"], &told["rejected"]), (&json!(3), &json!(5)));
    let expected = [(3, "abcd,2"), (7, "x,256"), (8, "x"), (9, "x,"), (10, "y,1.5")];
    let side = made.folder.path().join("visits.rejected.csv");
    assert_eq!(rejected(&side), expected.map(|(line, row)| (line, row.to_owned())));
    assert_eq!(made.run("export", "").out, "id,name\n1,abc\n3,\"a\nb\"\n9,z\n");

    // What was kept aside is not written over, and nothing is published beside it.
    made.run("import", "@/rows.csv").code(2).says(&["visits.rejected.csv is there"]);
    fs::remove_file(&side).unwrap();
    let strict = made.run("import", "@/rows.csv --strict --rejects @/side").code(1);
    drop(strict.shows(&["nothing published"]));
    assert_eq!(rejected(&made.folder.path().join("side")).len(), 5);
    assert_eq!(made.run("info", "--json").json()[0]["rows"], 3);

    let lines = "{\"id\":1}\n{\"id\":1,\"name\":[]}\n{\"id\":1,\"id\":2}\n{\"id\":1,\"x\":2}\n[]\n{\n\
                 {\"id\":null,\"name\":\"\"}\n{\"name\":\"ok\",\"id\":4}\n";
    let table = made.folder.path().join("lines");
    let schema = format!("--format jsonl --schema {}", schema.display());
    feed("table import", (&table, &schema), lines.as_bytes()).code(1);
    let found: Vec<u64> =
        rejected(&table.with_extension("rejected.csv")).iter().map(|row| row.0).collect();
    assert_eq!(found, [2, 3, 4, 5, 6, 7]);
    let all = format!("{schema} --only-known --empty-is-zero --replace --rejects ");
    let rest = format!("{all}{}", made.folder.path().join("more").display());
    let ran = feed("table import", (&table, &rest), lines.as_bytes()).code(1);
    drop(ran.shows(&["4 rows added, 4 in all"]));
}

#[test]
fn import_adds_to_what_is_there_or_takes_its_place() {
    let visits = Folder::of_visits();
    visits.write("more.csv", "page,id,score,user\nnew,4,9,9\n");
    visits.run("import", "@/more.csv").code(0).shows(&["1 rows added, 4 in all"]);
    assert_eq!(visits.ids("range", "--by id .."), [3, 4, 5, 7]);
    // A key that two rows have: nothing is published.
    let refused = visits.run("import", "@/more.csv").code(1);
    drop(refused.says(&["line 2 has the `id` of a row that was there", "rows"]));
    visits.write("twice.csv", "page,id,score,user\na,40,9,9\nb,41,9,8\n\nc,40,9,7\nd,4,1,7\n");
    let refused = visits.run("import", "@/twice.csv").code(1);
    let lines = ["lines 2, 5 have one `id`", "line 6 has the `id` of a row that was there"];
    drop(refused.says(&lines));
    assert_eq!(visits.ids("range", "--by id .."), [3, 4, 5, 7]);
    visits.run("import", "@/more.csv --multi page").code(2).says(&["--replace"]);
    visits.run("import", "@/more.csv --multi page --replace").code(0).shows(&["1 in all"]);
    assert_eq!(visits.ids("get", "--by page new"), [4]);
    visits.write("wrong.csv", "page,id,score,user,extra\n");
    visits.run("import", "@/wrong.csv").code(2).says(&["no column `extra`", "--only-known"]);
    visits.write("short.csv", "page,id,score\n");
    visits.run("import", "@/short.csv").code(2).says(&["there is no column `user`"]);
    visits.run("import", "@/absent.csv").code(3).says(&["absent.csv"]);
    visits.run("import", "@/schema").code(2).says(&["--format"]);
}

#[test]
fn a_table_is_made_without_rows() {
    let made = Folder::new();
    made.write("schema", SCHEMA);
    made.run("create", "--schema @/schema").code(0).shows(&["4 columns and 3 keys"]);
    assert_eq!(made.run("export", "").code(0).out, "id,user,score,page\n");
    assert_eq!(made.ids("top", "--by id"), [0; 0]);
    let fed = feed("table import", (&made.table, "--format csv"), VISITS.as_bytes());
    drop(fed.code(0).shows(&["3 in all"]));
    made.run("create", "--schema @/schema").code(3);
    made.write("schema", "id u64\nid u65\n");
    made.run("create", "--schema @/schema").code(2).says(&["schema:2", "`u65`"]);
    feed("table import", (&made.folder.path().join("other"), "--format csv"), b"a\n1\n").code(2);
}

#[test]
fn tables_are_joined_by_a_key() {
    let visits = Folder::of_visits();
    visits.write("users.csv", "name,user\nAnn,1\nBob,2\nEve,4294967296\n");
    let users = visits.folder.path().join("users");
    let input = visits.folder.path().join("users.csv");
    run("table import", &users, &format!("{} --unique user --multi name", input.display())).code(0);
    let rest = format!("{} --by user --csv", users.display());
    let joined = run("table join", &visits.table, &rest).code(0).out;
    assert_eq!(
        joined,
        "left.id,left.user,left.score,left.page,right.name,right.user\n3,1,-1.5,home,Ann,1\n\
         5,2,2.0,\"say \"\"hi\"\"\",Bob,2\n7,2,0.5,\"a, b\",Bob,2\n"
    );
    let back = format!("{} --by user --json", visits.table.display());
    let back = run("table join", &users, &back).code(0).json();
    let ids: Vec<u64> = back.iter().map(|row| row["right.id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [3, 5, 7]);
    let never = format!("{} --by user=name", users.display());
    run("table join", &visits.table, &never).code(2).says(&["never the same"]);
}

#[test]
fn verify_finds_what_was_changed() {
    let visits = Folder::of_visits();
    let rows = fs::read_dir(&visits.table).unwrap().map(|entry| entry.unwrap().path());
    let is_rows = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("rows."))
    };
    let rows = rows.filter(is_rows);
    for path in rows {
        let mut bytes = fs::read(&path).unwrap();
        bytes[40] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    let ran = visits.run("verify", "--json").code(1).says(&["rows"]);
    assert_eq!(ran.json()[0]["clean"], json!(false));
}

#[test]
fn more_rows_than_a_batch_arrive() {
    let made = Folder::new();
    let count = 60_000;
    let rows = (0..count).rev().map(|id| format!("{id},{:040}\n", id % 7));
    let text: String = std::iter::once("id,name\n".to_owned()).chain(rows).collect();
    made.write("rows.csv", &text);
    let rest = "@/rows.csv --canonical id --multi name --memory 1M --threads 2";
    made.run("import", rest).code(0).shows(&["60,000 in all"]);
    assert_eq!(made.ids("top", "--by id --limit 1"), [count - 1]);
    assert_eq!(made.ids("get", &format!("--by name {:040}", 3)).len(), 8571);
    made.run("verify", "").code(0);
}

#[test]
fn rows_are_appended_and_those_whose_keys_are_there_are_kept_aside() {
    let visits = Folder::of_visits();
    visits.write(
        "more.csv",
        "page,id,score,user\na,8,1,1\nb,7,2,1\nc,9,1,x\nd,1,1,2\ne,8,3,1\nf,2,0.5,2\n",
    );
    let ran = visits.run("import", "@/more.csv --append --json").code(1);
    let ran = ran.says(&["line 3: another row has its `id`", "line 4: column `user`"]);
    let told = ran.json().remove(0);
    assert_eq!(
        (&told["added"], &told["rows"], &told["version"]),
        (&json!(2), &json!(5), &json!(2))
    );
    let side = visits.folder.path().join("visits.rejected.csv");
    let lines: Vec<u64> = rejected(&side).iter().map(|row| row.0).collect();
    // Line 7 has the user and the score of a row that is there.
    assert_eq!(lines.len(), 4);
    assert_eq!(
        {
            let mut lines = lines;
            lines.sort_unstable();
            lines
        },
        [3, 4, 6, 7]
    );
    assert_eq!(visits.ids("range", "--by id .."), [1, 3, 5, 7, 8]);
    visits.run("verify", "").code(0);
    let strict = visits.run("import", "@/more.csv --append --strict --rejects @/side").code(1);
    drop(strict.shows(&["nothing published"]));
    visits.run("import", "@/more.csv --append --replace").code(2);
    let none = Folder::new();
    none.write("more.csv", "id\n1\n");
    none.run("import", "@/more.csv --append").code(3).says(&["no manifest"]);
}

#[test]
fn keys_of_other_kinds_are_joined_too() {
    let visits = Folder::of_visits();
    // A user of 8 bytes with a sign, where that of visits has 4 and none.
    visits.write("schema64", "name bytes4\nuser i64 multi\n");
    visits.write("users.csv", "name,user\nAnn,1\nBob,2\nNo,-1\nBo,2\n");
    let users = visits.folder.path().join("users");
    let at = |name: &str| visits.folder.path().join(name).display().to_string();
    let import = format!("{} --schema {}", at("users.csv"), at("schema64"));
    run("table import", &users, &import).code(0);
    let rest = format!("{} --by user --json", users.display());
    let joined = run("table join", &visits.table, &rest).code(0).json();
    let pairs: Vec<(u64, &str)> = joined
        .iter()
        .map(|row| (row["left.id"].as_u64().unwrap(), row["right.name"].as_str().unwrap()))
        .collect();
    assert_eq!(pairs, [(3, "Ann"), (5, "Bob"), (5, "Bo"), (7, "Bob"), (7, "Bo")]);
}
