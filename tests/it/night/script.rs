//! The stories as the README tells them: what is typed, what is printed, and what happens behind the scenes.
//!
//! A story is a heading of the third level within the section "A night on call". Its blocks marked `console` hold commands
//! after `$ ` (with `\` at the end of a line that goes on) and below each what it prints. A comment `<!-- stage: … -->`,
//! which a reader does not see, tells what happens in another terminal; `<!-- stage: until -->` has the next block repeated
//! until it prints what is told.

const SECTION: &str = "## A night on call";

/// One story.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Story {
    /// Its heading.
    pub(super) title: String,
    /// What happens, in order.
    pub(super) steps: Vec<Step>,
}

/// One thing that happens.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Behind the scenes.
    Direction(String),
    /// Commands, each once.
    Console(Vec<Line>),
    /// Commands that are repeated until they print what is told.
    Until(Vec<Line>),
}

/// One command and what it prints.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) command: String,
    pub(super) printed: Vec<String>,
}

/// Reads every story of a page.
pub(super) fn read(page: &str) -> Vec<Story> {
    let mut stories: Vec<Story> = Vec::new();
    let mut lines = page.lines().skip_while(|line| *line != SECTION).skip(1);
    let mut is_awaited = false;
    while let Some(line) = lines.next().filter(|line| !line.starts_with("## ")) {
        if let Some(title) = line.strip_prefix("### ") {
            stories.push(Story { title: title.to_owned(), steps: Vec::new() });
        }
        let Some(story) = stories.last_mut() else { continue };
        let direction = line.trim().strip_prefix("<!-- stage: ").and_then(|rest| rest.strip_suffix(" -->"));
        match (direction, line) {
            (Some("until"), _) => is_awaited = true,
            (Some(direction), _) => story.steps.push(Step::Direction(direction.to_owned())),
            (None, "```console") => {
                let block = console(lines.by_ref().take_while(|line| *line != "```"));
                let is_awaited = std::mem::take(&mut is_awaited);
                story.steps.push(if is_awaited { Step::Until(block) } else { Step::Console(block) });
            }
            (None, _) => {}
        }
    }
    stories
}

fn console<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Line> {
    let mut block: Vec<Line> = Vec::new();
    let mut goes_on = false;
    for line in lines {
        let typed = if goes_on { Some(line.trim_start()) } else { line.strip_prefix("$ ") };
        let Some(typed) = typed else {
            block.last_mut().expect("a console block begins with a command").printed.push(line.to_owned());
            continue;
        };
        let (text, more) = typed.strip_suffix('\\').map_or((typed, false), |text| (text, true));
        if goes_on {
            block.last_mut().unwrap().command.push_str(text);
        } else {
            block.push(Line { command: text.to_owned(), printed: Vec::new() });
        }
        goes_on = more;
    }
    block
}

#[test]
fn a_page_is_read_as_its_reader_understands_it() {
    let page = "## Before\n```console\n$ no\n```\n## A night on call\ntext\n### First\n<!-- stage: stop sandbox -->\n\
                ```console\n$ one \\\n    more\nprinted\n\nand this\n$ two\n```\n```sh\n$ not this\n```\n\
                <!-- stage: until -->\n```console\n$ three\n```\n### Second\n## After\n### No story\n";
    let line = |command: &str, printed: &[&str]| Line {
        command: command.to_owned(),
        printed: printed.iter().map(|line| (*line).to_owned()).collect(),
    };
    let first = vec![
        Step::Direction("stop sandbox".to_owned()),
        Step::Console(vec![line("one more", &["printed", "", "and this"]), line("two", &[])]),
        Step::Until(vec![line("three", &[])]),
    ];
    let told = [("First", first), ("Second", Vec::new())];
    assert_eq!(read(page), told.map(|(title, steps)| Story { title: title.to_owned(), steps }));
}
