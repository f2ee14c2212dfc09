//! Expressions: numbers, names, `+ - * /`, signs and parentheses.

use anyhow::{Context as _, bail, ensure};

/// Deepest nesting of parentheses and signs.
const DEEPEST: usize = 200;

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expression {
    /// A number as written.
    Number(f64),
    /// The name of a constant.
    Name(String),
    /// An operation, by its label in the protocol.
    Operation(&'static str, Box<[Expression; 2]>),
}

impl Expression {
    /// Reads an expression.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut parser = Parser { rest: text, depth: 0 };
        let expression = parser.sum()?;
        ensure!(parser.peek().is_none(), "cannot read `{}`", parser.rest);
        Ok(expression)
    }
}

/// Recursive descent: a sum of products of factors.
struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn sum(&mut self) -> anyhow::Result<Expression> {
        let mut left = self.product()?;
        while let Some(operation) = self.operator(&[('+', "add"), ('-', "sub")]) {
            left = Expression::Operation(operation, Box::new([left, self.product()?]));
        }
        Ok(left)
    }

    fn product(&mut self) -> anyhow::Result<Expression> {
        let mut left = self.factor()?;
        while let Some(operation) = self.operator(&[('*', "mul"), ('/', "div")]) {
            left = Expression::Operation(operation, Box::new([left, self.factor()?]));
        }
        Ok(left)
    }

    fn factor(&mut self) -> anyhow::Result<Expression> {
        self.depth += 1;
        ensure!(self.depth <= DEEPEST, "nested too deeply");
        let factor = match self.peek() {
            Some('-') => {
                self.advance(1);
                Expression::Operation("sub", Box::new([Expression::Number(0.0), self.factor()?]))
            }
            Some('(') => {
                self.advance(1);
                let inner = self.sum()?;
                ensure!(self.peek() == Some(')'), "`)` is missing before `{}`", self.rest);
                self.advance(1);
                inner
            }
            Some(c) if c.is_ascii_digit() => {
                let digits = self.take(|c| c.is_ascii_digit() || c == '.');
                Expression::Number(digits.parse().with_context(|| format!("no number: `{digits}`"))?)
            }
            Some(c) if c.is_ascii_alphabetic() => Expression::Name(self.take(|c| c.is_ascii_alphabetic())),
            _ => bail!("a number, a name or `(` is missing before `{}`", self.rest),
        };
        self.depth -= 1;
        Ok(factor)
    }

    fn operator(&mut self, operators: &[(char, &'static str)]) -> Option<&'static str> {
        let next = self.peek()?;
        let (_, operation) = operators.iter().find(|(sign, _)| *sign == next)?;
        self.advance(1);
        Some(operation)
    }

    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    fn take(&mut self, belongs: impl Fn(char) -> bool) -> String {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let taken = self.rest[..end].to_owned();
        self.advance(end);
        taken
    }

    fn advance(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With all parentheses.
    fn shown(expression: &Expression) -> String {
        match expression {
            Expression::Number(number) => number.to_string(),
            Expression::Name(name) => name.clone(),
            Expression::Operation(operation, sides) => {
                format!("({operation} {} {})", shown(&sides[0]), shown(&sides[1]))
            }
        }
    }

    #[test]
    fn products_bind_before_sums_and_all_from_the_left() {
        for (text, expected) in [
            ("1", "1"),
            (" 1.5 ", "1.5"),
            ("1+2*3", "(add 1 (mul 2 3))"),
            ("1-2-3", "(sub (sub 1 2) 3)"),
            ("8/4/2*pi", "(mul (div (div 8 4) 2) pi)"),
            ("(1+2)*3", "(mul (add 1 2) 3)"),
            ("-e*--2", "(mul (sub 0 e) (sub 0 (sub 0 2)))"),
            ("2--1", "(sub 2 (sub 0 1))"),
        ] {
            assert_eq!(shown(&Expression::parse(text).expect(text)), expected, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_expression() {
        let deep = "(".repeat(100_000);
        for text in ["", "1 +", "* 2", "(1", "1)", "1 2", "1..2", "2 ^ 3", "pi pi", "ä", deep.as_str()] {
            assert!(Expression::parse(text).is_err(), "{text}");
        }
    }
}
