use std::cell::RefCell;
use std::sync::mpsc;

use super::*;

fn database() -> Connection {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch("CREATE TABLE n (x INTEGER UNIQUE) STRICT").unwrap();
    db
}

fn insert(x: i64) -> impl FnMut(&Connection) -> rusqlite::Result<usize> + Send + 'static {
    move |db| db.execute("INSERT INTO n VALUES (?1)", [x])
}

fn job<T: Send + 'static>(
    work: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    answers: &mpsc::Sender<bool>,
) -> Box<dyn Job> {
    let answers = answers.clone();
    Box::new(Call { work, done: move |r: rusqlite::Result<T>| answers.send(r.is_ok()).unwrap(), result: None })
}

fn rows(db: &Connection) -> Vec<i64> {
    let mut statement = db.prepare("SELECT x FROM n ORDER BY x").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn a_failing_statement_leaves_its_neighbours_alone() {
    let mut db = database();
    let (answers, answered) = mpsc::channel();
    let half = |db: &Connection| {
        db.execute("INSERT INTO n VALUES (7)", [])?;
        db.execute("INSERT INTO n VALUES (1)", [])
    };
    let batch = vec![job(insert(1), &answers), job(half, &answers), job(insert(2), &answers)];
    let noted = RefCell::new(Vec::new());
    work_off(&mut db, batch, |health| noted.borrow_mut().push(health));
    assert_eq!(*noted.borrow(), [Health::Well, Health::Unknown, Health::Well], "each alone; the file is not at fault");
    assert_eq!(answered.try_iter().collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(rows(&db), [1, 2], "the half-done job left nothing");
}

#[test]
fn a_job_that_breaks_the_transaction_leaves_its_neighbours_alone() {
    let mut db = database();
    let (answers, answered) = mpsc::channel();
    // What a full disk may do to a transaction (sqlite.org/lang_transaction.html, "Response To Errors").
    let breaks = |db: &Connection| {
        db.execute_batch("ROLLBACK")?;
        Err::<(), _>(rusqlite::Error::QueryReturnedNoRows)
    };
    let batch = vec![job(insert(1), &answers), job(breaks, &answers), job(insert(2), &answers)];
    work_off(&mut db, batch, |_| {});
    assert_eq!(answered.try_iter().collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(rows(&db), [1, 2]);
}

#[test]
fn a_commit_that_fails_fails_every_job_with_nothing_kept() {
    let mut db = Connection::open_in_memory().unwrap();
    db.execute_batch(
        "PRAGMA foreign_keys = ON;
         CREATE TABLE parent (id INTEGER PRIMARY KEY);
         CREATE TABLE n (x INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
    )
    .unwrap();
    let (answers, answered) = mpsc::channel();
    let batch = vec![job(insert(1), &answers), job(insert(2), &answers)];
    work_off(&mut db, batch, |health| assert_eq!(health, Health::Unwell));
    assert_eq!(answered.try_iter().collect::<Vec<_>>(), [false, false]);
    assert_eq!(rows(&db), [] as [i64; 0]);
}
