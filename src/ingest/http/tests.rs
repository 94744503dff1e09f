use std::io::Write;

use super::*;

fn head(source: Source) -> Head {
    Head { source, encoding: Encoding::Identity, options: Options::default() }
}

/// Action, index, id, and the document or the kind of its refusal.
fn shown(items: &[Item<'_>]) -> Vec<String> {
    let shown = |item: &Item<'_>| {
        let document = match &item.document {
            Ok(document) => String::from_utf8_lossy(document).into_owned(),
            Err(refused) => refused.kind.to_owned(),
        };
        format!("{} {} {} {document}", item.action.name(), item.index, item.id.as_deref().unwrap_or("-"))
    };
    items.iter().map(shown).collect()
}

#[test]
fn bulk_bodies_read() {
    for (body, expected) in [
        ("{\"create\":{\"_index\":\"logs\",\"_id\":\"a\"}}\n{\"x\":1}\n", &["create logs a {\"x\":1}"][..]),
        ("{\"index\":{}}\r\n{\"x\":1}\r\n", &["index loghound - {\"x\":1}"]),
        // Blank lines, a missing last newline, numbers as identities, members of older clients.
        (
            "\n{\"create\":{\"_id\":7,\"_type\":\"_doc\"}}\n\n{}\n \n{\"index\":{\"pipeline\":\"p\"}}\n[]",
            &["create loghound 7 {}", "index loghound - []"],
        ),
        (
            "{\"delete\":{\"_id\":\"1\"}}\n{\"create\":{}}\n{}\n{\"update\":{\"_id\":\"1\"}}\n{\"doc\":{}}\n",
            &[
                "delete loghound 1 illegal_argument_exception",
                "create loghound - {}",
                "update loghound 1 illegal_argument_exception",
            ],
        ),
        (
            "{\"create\":{\"_index\":\"Logs\"}}\n{}\n{\"create\":{\"_index\":\"_x\"}}\n{}\n",
            &["create Logs - invalid_index_name_exception", "create _x - invalid_index_name_exception"],
        ),
        ("{\"create\":{\"_index\":\"caf\\u00e9\",\"_id\":\"\\\"\"}}\n{}\n", &["create café \" {}"]),
    ] {
        let head = head(Source::Bulk);
        assert_eq!(shown(&items(&head, body.as_bytes()).unwrap()), expected, "{body:?}");
    }
    for body in
        ["", "\n", "{\"create\":{}}\n", "{\"x\":1}\n{}\n", "nonsense\n", "{\"create\":{}}\n{}\n{\"level\":\"E\"}\n"]
    {
        assert!(items(&head(Source::Bulk), body.as_bytes()).is_err(), "{body:?}");
    }
}

#[test]
fn an_index_of_the_path_is_for_items_that_name_none() {
    let options = Options { index: Some("of-path".into()), ..Options::default() };
    let head = Head { options, ..head(Source::Bulk) };
    let body = b"{\"create\":{}}\n{}\n{\"create\":{\"_index\":\"own\"}}\n{}\n";
    assert_eq!(shown(&items(&head, body).unwrap()), ["create of-path - {}", "create own - {}"]);
}

#[test]
fn lines_are_documents() {
    let found = items(&head(Source::Lines), b"{\"a\":1}\r\n\n  {\"b\":2}").unwrap().len();
    assert_eq!(found, 2);
    assert!(items(&head(Source::Lines), b"").unwrap().is_empty());
}

#[test]
fn a_head_reads_back_and_a_cut_one_does_not() {
    let options = Options { index: Some("logs".into()), skip: vec![3, 900], ..Options::default() };
    let head = Head { source: Source::Lines, encoding: Encoding::Gzip, options };
    let bytes = head.bytes();
    assert_eq!(Head::read(&[&bytes[..], b"body"].concat()).unwrap(), (head, bytes.len()));
    for cut in 0..bytes.len() {
        assert!(Head::read(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    assert!(Head::read(&[2, 1, 0, 0, 0, 0, 0, 0]).is_err(), "a newer version");
}

#[test]
fn a_body_inflates_within_its_limit() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&[b'x'; 100_000]).unwrap();
    let body = Bytes::from(gzip.finish().unwrap());
    assert_eq!(inflate(Encoding::Gzip, &body, 100_000).unwrap().len(), 100_000);
    assert_eq!(inflate(Encoding::Gzip, &body, 99_999), Err(BodyError::TooLarge { max: 99_999 }));
    assert!(matches!(inflate(Encoding::Gzip, &body.slice(..body.len() - 9), 100_000), Err(BodyError::Gzip(_))));
    assert!(matches!(inflate(Encoding::Gzip, &Bytes::from_static(b"{}"), 9), Err(BodyError::Gzip(_))));
    assert_eq!(inflate(Encoding::Identity, &Bytes::from_static(b"{}"), 1), Err(BodyError::TooLarge { max: 1 }));
}
