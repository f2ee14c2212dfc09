//! Explanations: complete, and true where an example is a whole source.

use rekindle_protocol::CheckOptions;
use rekindle_protocol::code::Code;
use rekindle_protocol::explain::page;

use super::load;

/// The codes of what is said about a source; fragments are put into a protocol. Compiled only for rules of compiling.
fn codes(rule: Code, text: &str) -> Option<Vec<Code>> {
    let whole = text.contains("global protocol");
    if text.contains('…') || text.contains("import") || !(whole || text.contains(" from ")) {
        return None;
    }
    let text = if whole {
        text.replace("module shop;", "module protocol;")
    } else {
        let types = "type <rust> \"u64\" from \"std\" as Count; type <rust> \"String\" from \"std\" as Text;";
        let mut roles = vec!["role A", "role B"];
        if text.contains('C') && (text.contains("from C") || text.contains("to C") || text.contains(", C")) {
            roles.push("role C");
        }
        format!("module protocol; {types} global protocol P({}) {{ {text} }}", roles.join(", "))
    };
    let report = match load(&text) {
        Ok(program) => {
            let report = program.verdict(CheckOptions::default()).report;
            let compiling = matches!(rule, Code::NotRunnable | Code::NoSuchProtocol);
            if compiling { program.compile(None).err().unwrap_or_default() } else { report }
        }
        Err(report) => report,
    };
    Some(report.diagnostics.into_iter().map(|finding| finding.code).collect())
}

#[test]
fn bad_examples_break_the_rule_and_good_ones_do_not() {
    let mut tried = 0;
    for code in Code::ALL {
        let explanation = code.explanation();
        if let (Some(bad), Some(good)) = (codes(code, explanation.bad), codes(code, explanation.good)) {
            assert!(bad.contains(&code), "{}: the bad example gives {bad:?}", code.as_str());
            assert!(good.is_empty(), "{}: the good example gives {good:?}", code.as_str());
            tried += 1;
        }
    }
    assert!(tried >= 20, "only {tried} examples are sources");
}

#[test]
fn every_code_is_explained_and_found_by_its_text() {
    for code in Code::ALL {
        assert_eq!(Code::parse(&code.as_str().to_lowercase()), Some(code));
        assert!(code.explain().starts_with(code.as_str()));
    }
    assert_eq!(Code::parse("S999"), None);
}

#[test]
fn the_page_lists_every_code() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/scribble.md")).unwrap();
    for code in Code::ALL {
        assert!(page.contains(&format!("| {} | `{}` |", code.as_str(), code.kind())), "{}", code.as_str());
    }
}

#[test]
fn the_page_of_explanations_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errors.md");
    if std::env::var_os("REWRITE").is_some() {
        std::fs::write(path, page()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), page());
}
