//! The words and signs of a condition, each with its place.

use super::parse::Fault;

/// One word or sign.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A field or a keyword, as it was written.
    Word(String),
    /// A field in double quotes: never a keyword.
    Quoted(String),
    /// A text in single quotes.
    Text(String),
    /// A number, as it was written.
    Number(String),
    /// `=`, `<>`, `(` and so on.
    Sign(&'static str),
    /// The end of the text.
    End,
}

impl Token {
    /// The token for a message.
    pub(super) fn shown(&self) -> String {
        match self {
            Token::Word(text) | Token::Number(text) => format!("`{text}`"),
            Token::Quoted(text) => format!("`\"{text}\"`"),
            Token::Text(text) => format!("the text '{text}'"),
            Token::Sign(sign) => format!("`{sign}`"),
            Token::End => "the end".to_owned(),
        }
    }
}

/// Longer ones first.
const SIGNS: [&str; 11] = ["<=", ">=", "<>", "!=", "==", "<", ">", "=", "(", ")", ","];

/// Cuts `text`; each token comes with the character at which it begins, from 1. The last one is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, usize)>, Fault> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&first) = chars.get(at) {
        let start = at;
        let rest = chars.get(at..).unwrap_or_default();
        if first.is_whitespace() {
            at += 1;
            continue;
        }
        let token = if is_word_start(first) {
            at += rest.iter().take_while(|it| is_word(**it)).count();
            Token::Word(collect(&chars, start, at))
        } else if first.is_ascii_digit() || (first == '-' && rest.get(1).is_some_and(char::is_ascii_digit)) {
            at += number_len(rest);
            Token::Number(collect(&chars, start, at))
        } else if first == '\'' || first == '"' {
            let (content, len) = quoted(rest, first).ok_or_else(|| {
                Fault::at(start + 1, format!("a text that does not end, expected another {first}"), None)
            })?;
            at += len;
            if first == '"' { Token::Quoted(content) } else { Token::Text(content) }
        } else if let Some(sign) = SIGNS.iter().find(|it| it.chars().eq(rest.iter().take(it.len()).copied())) {
            at += sign.len();
            Token::Sign(sign)
        } else {
            let expected = "expected a field, a value, a comparison or a bracket";
            return Err(Fault::at(start + 1, format!("`{first}`, {expected}"), None));
        };
        tokens.push((token, start + 1));
    }
    tokens.push((Token::End, chars.len() + 1));
    Ok(tokens)
}

fn is_word_start(it: char) -> bool {
    it.is_alphabetic() || it == '_'
}

/// Nested fields are joined by dots.
fn is_word(it: char) -> bool {
    it.is_alphanumeric() || matches!(it, '_' | '.')
}

fn collect(chars: &[char], start: usize, end: usize) -> String {
    chars.get(start..end).unwrap_or_default().iter().collect()
}

/// How many characters look like one number; whether they are one is seen when they are read.
fn number_len(chars: &[char]) -> usize {
    let mut len = 1;
    while let Some(&it) = chars.get(len) {
        let after_e = chars.get(len - 1).is_some_and(|it| matches!(it, 'e' | 'E'));
        if !(it.is_ascii_alphanumeric() || matches!(it, '.' | '_') || (after_e && matches!(it, '+' | '-'))) {
            break;
        }
        len += 1;
    }
    len
}

/// What stands between two of `quote`, and the length with them; a doubled one is one character of the content.
fn quoted(chars: &[char], quote: char) -> Option<(String, usize)> {
    let mut content = String::new();
    let mut at = 1;
    loop {
        let it = *chars.get(at)?;
        match it == quote {
            true if chars.get(at + 1) == Some(&quote) => at += 1,
            true => return Some((content, at + 1)),
            false => {}
        }
        content.push(it);
        at += 1;
    }
}
