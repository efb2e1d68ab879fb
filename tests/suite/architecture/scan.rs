//! A scanner for Rust sources: tokens and comments with their lines, so that a check sees code and
//! not what a string or a comment says about it. It knows no grammar beyond literals, comments,
//! paths, `use` trees and `#[cfg(test)]`.

/// A Rust file as tokens.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) tokens: Vec<Token>,
    /// Line and text of each comment, doc comments included.
    pub(super) comments: Vec<(usize, String)>,
}

/// A word, a number, a punctuation character, `::`, or a literal (whose text is then `""`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) line: usize,
}

impl Token {
    /// A name or keyword.
    fn is_word(&self) -> bool {
        self.text.starts_with(|first: char| first.is_alphabetic() || first == '_')
    }
}

impl Source {
    /// Scans the text of the file at `path`.
    pub(super) fn new(path: &str, text: &str) -> Self {
        let mut scanner = Scanner { rest: text.chars().collect(), at: 0, line: 1 };
        let mut source = Self { path: path.into(), tokens: Vec::new(), comments: Vec::new() };
        while scanner.step(&mut source) {}
        source
    }

    /// Each path that the code names (`a::b`, and `use a::{b, c::d}` as `a::b` and `a::c::d`), with
    /// its line. A single word counts as a path.
    pub(super) fn names(&self) -> Vec<(Vec<String>, usize)> {
        names(&self.tokens)
    }

    /// Whether the tokens from `index` on are these.
    pub(super) fn is_at(&self, index: usize, words: &[&str]) -> bool {
        is_at(&self.tokens, index, words)
    }

    /// The same source without what is compiled for tests only, and the modules so compiled that
    /// live in files of their own.
    pub(super) fn without_tests(&self) -> (Self, Vec<String>) {
        let mut kept = Vec::new();
        let mut modules = Vec::new();
        let mut index = 0;
        let tokens = &self.tokens;
        while index < tokens.len() {
            let whole_file = is_at(tokens, index, &["#", "!", "[", "cfg", "(", "test", ")", "]"]);
            if whole_file {
                kept.clear();
                break;
            }
            let item = is_at(tokens, index, &["#", "[", "cfg", "(", "test", ")", "]"])
                || is_at(tokens, index, &["#", "[", "cfg", "(", "all", "(", "test"])
                || is_at(tokens, index, &["#", "[", "test", "]"]);
            if !item {
                kept.push(tokens[index].clone());
                index += 1;
                continue;
            }
            let begin = index;
            index = end_of_item(tokens, index);
            let inside = &tokens[begin..index];
            if let Some(at) = inside.iter().position(|token| token.text == "mod")
                && is_at(inside, at + 2, &[";"])
            {
                modules.push(inside[at + 1].text.clone());
            }
        }
        (Self { path: self.path.clone(), tokens: kept, comments: self.comments.clone() }, modules)
    }
}

/// The sources that end up in the library or program, without their test parts.
pub(super) fn production<'a>(sources: impl Iterator<Item = &'a Source> + Clone) -> Vec<Source> {
    let mut test_modules = Vec::new();
    for source in sources.clone() {
        for module in source.without_tests().1 {
            let stem = source.path.strip_suffix(".rs").unwrap_or(&source.path);
            let folder =
                ["/lib", "/main", "/mod"].iter().find_map(|root| stem.strip_suffix(root)).unwrap_or(stem);
            test_modules.push(format!("{folder}/{module}"));
        }
    }
    let in_tests = |path: &str| {
        path.split('/').any(|part| ["tests", "benches"].contains(&part))
            || test_modules.iter().any(|module| {
                path.strip_prefix(module.as_str()).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
            })
    };
    sources.filter(|source| !in_tests(&source.path)).map(|source| source.without_tests().0).collect()
}

fn is_at(tokens: &[Token], index: usize, words: &[&str]) -> bool {
    tokens
        .get(index..index + words.len())
        .is_some_and(|here| here.iter().zip(words).all(|(t, w)| t.text == *w))
}

/// Past the item that begins with attributes at `index`: its closing brace or its semicolon.
fn end_of_item(tokens: &[Token], mut index: usize) -> usize {
    let mut depth = 0_usize;
    let mut in_attribute = false;
    while let Some(token) = tokens.get(index) {
        match token.text.as_str() {
            "#" if depth == 0 => in_attribute = true,
            "(" | "[" | "{" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return index + 1;
                }
            }
            ";" if depth == 0 => return index + 1,
            _ => {}
        }
        if in_attribute && depth == 0 && token.text == "]" {
            in_attribute = false;
        }
        index += 1;
    }
    index
}

fn names(tokens: &[Token]) -> Vec<(Vec<String>, usize)> {
    let mut names = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        index = if tokens[index].is_word() { name(tokens, index, &[], &mut names) } else { index + 1 };
    }
    names
}

/// Reads the path or `use` tree at `index` and returns where it ends.
fn name(
    tokens: &[Token],
    mut index: usize,
    prefix: &[String],
    names: &mut Vec<(Vec<String>, usize)>,
) -> usize {
    let mut segments = prefix.to_vec();
    let begin = tokens.get(index).map_or(0, |token| token.line);
    while let Some(token) = tokens.get(index) {
        if token.is_word() || token.text == "*" {
            segments.push(token.text.clone());
            index += 1;
            if is_at(tokens, index, &["::"]) {
                index += 1;
                continue;
            }
        } else if token.text == "{" && segments.len() > prefix.len() {
            index += 1;
            while let Some(token) = tokens.get(index) {
                match token.text.as_str() {
                    "}" => return index + 1,
                    "," => index += 1,
                    _ => {
                        index = name(tokens, index, &segments, names).max(index + 1);
                        // `as other` renames; what it renames has been read.
                        while tokens
                            .get(index)
                            .is_some_and(|token| !["}", ","].contains(&token.text.as_str()))
                        {
                            index += 1;
                        }
                    }
                }
            }
            return index;
        }
        break;
    }
    if segments.len() > prefix.len() {
        names.push((segments, begin));
    }
    index
}

struct Scanner {
    rest: Vec<char>,
    at: usize,
    line: usize,
}

impl Scanner {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.rest.get(self.at + ahead).copied()
    }

    fn take(&mut self) -> Option<char> {
        let next = self.peek(0)?;
        self.at += 1;
        if next == '\n' {
            self.line += 1;
        }
        Some(next)
    }

    /// Reads one token, comment or blank; false at the end.
    fn step(&mut self, source: &mut Source) -> bool {
        let line = self.line;
        let mut push = |text: String| source.tokens.push(Token { text, line });
        match (self.peek(0), self.peek(1)) {
            (None, _) => return false,
            (Some('/'), Some('/')) => {
                let text = self.while_true(|next| next != '\n');
                source.comments.push((line, text));
            }
            (Some('/'), Some('*')) => self.block_comment(source),
            (Some('"'), _) => {
                self.string();
                push("\"\"".into());
            }
            (Some('\''), _) => {
                if self.character() {
                    push("\"\"".into());
                }
            }
            (Some(':'), Some(':')) => {
                self.at += 2;
                push("::".into());
            }
            (Some(first), _) if first.is_alphanumeric() || first == '_' => {
                let word = self.while_true(|next| next.is_alphanumeric() || next == '_');
                push(self.literal_with_prefix(word));
            }
            (Some(other), _) => {
                self.take();
                if !other.is_whitespace() {
                    push(other.into());
                }
            }
        }
        true
    }

    fn while_true(&mut self, keep: impl Fn(char) -> bool) -> String {
        let mut text = String::new();
        while let Some(next) = self.peek(0).filter(|next| keep(*next)) {
            text.push(next);
            self.take();
        }
        text
    }

    fn block_comment(&mut self, source: &mut Source) {
        let line = self.line;
        let mut text = String::new();
        let mut depth = 0_usize;
        loop {
            let step = match (self.peek(0), self.peek(1)) {
                (None, _) => break,
                (Some('/'), Some('*')) => {
                    depth += 1;
                    2
                }
                (Some('*'), Some('/')) => {
                    depth -= 1;
                    2
                }
                _ => 1,
            };
            for _ in 0..step {
                text.extend(self.take());
            }
            if depth == 0 {
                break;
            }
        }
        for (offset, part) in text.lines().enumerate() {
            source.comments.push((line + offset, part.into()));
        }
    }

    /// A string in quotes, at its opening quote.
    fn string(&mut self) {
        self.take();
        while let Some(next) = self.take() {
            match next {
                '\\' => {
                    self.take();
                }
                '"' => return,
                _ => {}
            }
        }
    }

    /// A character literal (true) or a lifetime (false).
    fn character(&mut self) -> bool {
        self.take();
        if self.peek(0) == Some('\\') {
            self.take();
            self.take();
            self.while_true(|next| next != '\'');
            self.take();
            true
        } else if self.peek(1) == Some('\'') {
            self.take();
            self.take();
            true
        } else {
            self.while_true(|next| next.is_alphanumeric() || next == '_');
            false
        }
    }

    /// The word just read, unless it begins a literal (`b"…"`, `r#"…"#`, `b'…'`) or a raw name (`r#type`).
    fn literal_with_prefix(&mut self, word: String) -> String {
        let raw = ["r", "br", "cr"].contains(&word.as_str());
        match self.peek(0) {
            Some('"') if !raw && ["b", "c"].contains(&word.as_str()) => self.string(),
            Some('\'') if word == "b" => {
                self.character();
            }
            Some('"' | '#') if raw => {
                let hashes = (0..).take_while(|ahead| self.peek(*ahead) == Some('#')).count();
                if self.peek(hashes) != Some('"') {
                    if word == "r" && hashes == 1 {
                        self.take();
                        return self.while_true(|next| next.is_alphanumeric() || next == '_');
                    }
                    return word;
                }
                for _ in 0..=hashes {
                    self.take();
                }
                loop {
                    match self.take() {
                        None => break,
                        Some('"') if (0..hashes).all(|ahead| self.peek(ahead) == Some('#')) => {
                            for _ in 0..hashes {
                                self.take();
                            }
                            break;
                        }
                        Some(_) => {}
                    }
                }
            }
            _ => return word,
        }
        "\"\"".into()
    }
}

#[test]
fn strings_and_comments_are_no_code() {
    let text = r####"
        // unsafe in a comment
        /* unsafe /* nested */ unsafe */
        let a = "unsafe \" unsafe"; let b = r#"unsafe " unsafe"#; let c = b"unsafe"; let d = br##"unsafe"##;
        let quote = '"'; let escaped = '\''; let life: &'static str = c"unsafe";
        fn f<'a>(r#type: &'a str) { 'outer: loop { break 'outer } } unsafe { g() }
    "####;
    let source = Source::new("a.rs", text);
    let hits: Vec<usize> = source.tokens.iter().filter(|t| t.text == "unsafe").map(|t| t.line).collect();
    assert_eq!(hits, [6]);
    let comments: Vec<usize> = source.comments.iter().map(|comment| comment.0).collect();
    assert_eq!(comments, [2, 3]);
}

#[test]
fn use_trees_are_spelt_out() {
    let source =
        Source::new("a.rs", "use std::{fs::{self, File as F}, net::*, io};\nlet x = a::b::<c::D>::e();");
    let names: Vec<String> =
        source.names().into_iter().map(|(name, line)| format!("{line} {}", name.join("::"))).collect();
    let expect = [
        "1 use",
        "1 std::fs::self",
        "1 std::fs::File",
        "1 std::net::*",
        "1 std::io",
        "2 let",
        "2 x",
        "2 a::b",
        "2 c::D",
        "2 e",
    ];
    assert_eq!(names, expect);
}

#[test]
fn test_code_is_left_out() {
    let production_of = |sources: &[(&str, &str)]| -> Vec<String> {
        let sources: Vec<Source> = sources.iter().map(|(path, text)| Source::new(path, text)).collect();
        production(sources.iter())
            .iter()
            .map(|source| {
                let words: Vec<&str> = source.tokens.iter().map(|token| token.text.as_str()).collect();
                format!("{}: {}", source.path, words.join(" "))
            })
            .collect()
    };
    let kept = production_of(&[
        (
            "c/src/lib.rs",
            "fn a() {} #[cfg(test)] #[path(x)] mod t { fn b() { {} } } #[cfg(test)] mod oracle; fn c() {}",
        ),
        ("c/src/oracle.rs", "fn d() {}"),
        ("c/src/oracle/deep.rs", "fn e() {}"),
        ("c/src/whole.rs", "#![cfg(test)] fn f() {}"),
        ("c/tests/all.rs", "fn g() {}"),
        ("c/src/late.rs", "#[test] fn h() { i() } fn j() {}"),
    ]);
    assert_eq!(
        kept,
        ["c/src/lib.rs: fn a ( ) { } fn c ( ) { }", "c/src/whole.rs: ", "c/src/late.rs: fn j ( ) { }"]
    );
}
