//! Splits a Rust text into code and comments and blanks the contents of literals.

use super::Line;

/// The lines of `text`; columns of code stay where they were.
pub(super) fn scan(text: &str) -> Vec<Line> {
    let mut scanner = Scanner { chars: text.chars().collect(), at: 0, lines: vec![] };
    scanner.lines.push(Line::default());
    scanner.run();
    if text.is_empty() || text.ends_with('\n') {
        scanner.lines.pop();
    }
    scanner.lines
}

struct Scanner {
    chars: Vec<char>,
    at: usize,
    lines: Vec<Line>,
}

impl Scanner {
    fn run(&mut self) {
        while let Some(c) = self.peek(0) {
            match (c, self.peek(1)) {
                ('/', Some('/')) => self.line_comment(),
                ('/', Some('*')) => self.block_comment(),
                ('"', _) => self.string(),
                ('\'', _) if self.is_char_literal() => self.char_literal(),
                _ if is_word(c) => self.word(),
                _ => self.code(),
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    /// Moves on by one character and appends what `put` makes of it; line ends are kept.
    fn step(&mut self, put: impl Fn(&mut Line, char)) {
        let Some(c) = self.peek(0) else { return };
        self.at += 1;
        if c == '\n' {
            self.lines.push(Line::default());
        } else if let Some(line) = self.lines.last_mut() {
            put(line, c);
        }
    }

    fn code(&mut self) {
        self.step(|line, c| line.code.push(c));
    }

    fn blank(&mut self) {
        self.step(|line, _| line.code.push(' '));
    }

    fn comment(&mut self) {
        self.step(|line, c| {
            line.code.push(' ');
            line.comment.push(c);
        });
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.comment();
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        while self.peek(0).is_some() {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => depth += 1,
                (Some('*'), Some('/')) => depth -= 1,
                _ => {
                    self.comment();
                    continue;
                }
            }
            self.comment();
            self.comment();
            if depth == 0 {
                return;
            }
        }
    }

    /// A word, and the literal it starts if it is the prefix of one.
    fn word(&mut self) {
        let start = self.at;
        while self.peek(0).is_some_and(is_word) {
            self.code();
        }
        let word: String = self.chars[start..self.at].iter().collect();
        let hashes = self.chars[self.at..].iter().take_while(|&&c| c == '#').count();
        match word.as_str() {
            "r" | "br" | "cr" if self.peek(hashes) == Some('"') => self.raw_string(hashes),
            "b" if self.peek(0) == Some('\'') => self.char_literal(),
            _ => {}
        }
    }

    fn string(&mut self) {
        self.code();
        while let Some(c) = self.peek(0) {
            match c {
                '"' => return self.code(),
                '\\' => {
                    self.blank();
                    self.blank();
                }
                _ => self.blank(),
            }
        }
    }

    fn raw_string(&mut self, hashes: usize) {
        (0..hashes).for_each(|_| self.blank());
        self.code();
        while let Some(c) = self.peek(0) {
            let closes = c == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#'));
            if closes {
                self.code();
                (0..hashes).for_each(|_| self.blank());
                return;
            }
            self.blank();
        }
    }

    /// `'x'` or `'\…'`, and not the lifetime `'x`.
    fn is_char_literal(&self) -> bool {
        self.peek(1) == Some('\\') || self.peek(2) == Some('\'')
    }

    fn char_literal(&mut self) {
        self.blank();
        while let Some(c) = self.peek(0) {
            self.blank();
            match c {
                '\'' => return,
                '\\' => self.blank(),
                _ => {}
            }
        }
    }
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the code of a text; spaces count, so columns stay.
    #[track_caller]
    fn check(text: &str, code: &[&str]) {
        let lines = scan(text);
        assert_eq!(lines.iter().map(|line| line.code.as_str()).collect::<Vec<_>>(), code);
    }

    #[test]
    fn comments_are_apart() {
        let lines = scan("a // b\n/* c /* d */\ne */ f\n");
        let comments: Vec<&str> = lines.iter().map(|line| line.comment.as_str()).collect();
        assert_eq!(comments, ["// b", "/* c /* d */", "e */"]);
        check("a // b\n/* c */ d", &["a     ", "        d"]);
    }

    #[test]
    fn literals_are_blank() {
        check(r#"a("un\"safe // x")"#, &["a(\"             \")"]);
        check("r#\"a \" b\"# c", &["r \"     \"  c"]);
        check("b\"x\" br\"\\\" y", &["b\" \" br\" \" y"]);
        check("'\"' '\\'' b'/' x", &["         b    x"]);
        check("\"a\nb\" c", &["\" ", " \" c"]);
    }

    #[test]
    fn lifetimes_and_raw_words_are_code() {
        check("fn f<'a, 'b>(x: &'a str)", &["fn f<'a, 'b>(x: &'a str)"]);
        check("r#type", &["r#type"]);
        check("var\"x\"", &["var\" \""]);
    }

    #[test]
    fn an_unfinished_text_ends() {
        check("\"a", &["\" "]);
        check("/* a", &["    "]);
        check("r#\"a", &["r \" "]);
        check("", &[]);
    }
}
