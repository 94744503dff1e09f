//! The miner as callers see it.

use super::*;

fn texts(lines: &[&str]) -> Vec<String> {
    let mut miner = Miner::new(Limits::default());
    let ids: Vec<TemplateId> = lines.iter().map(|line| miner.observe(line).id).collect();
    ids.into_iter().map(|id| miner.template(miner.resolve(id)).unwrap().text).collect()
}

#[test]
fn values_are_seen_at_first_sight() {
    for (line, text) in [
        ("", ""),
        ("   ", ""),
        ("started", "started"),
        ("took 12 ms at 10.0.0.1:8080", "took <*> at <*>"),
        ("free 3.4 MB", "free <*>"),
        ("free 512 bytes", "free <*> bytes"),
        ("lifetime <1 sec", "lifetime <*>"),
        ("open /var/log/a.log, mode r", "open <*>, mode r"),
        (r"load C:\Windows\a.dll now", "load <*> now"),
        ("get https://example.org/a?b=c done", "get <*> done"),
        ("dial db.example.org:5432: refused", "dial <*>: refused"),
        ("from fe80::abcd to ::1 via 00:1a:ff:00:bc:de", "from <*> to <*> via <*>"),
        ("a::b add:bad: 1:x", "a::b add:bad: <*>:x"),
        ("mail ann@example.org, or root@", "mail <*>, or root@"),
        ("pull docker.io/library/nginx and a/b/c and/or n/a", "pull <*> and <*> and/or n/a"),
        ("uid=0 gid= x", "uid=<*> gid= x"),
        ("blocks 1 2 3 gone", "blocks <*> gone"),
        ("ports 80,443, 8080", "ports <*>"),
        ("range 5 - 9", "range <*>"),
        ("speeds ( 35 **** 36 )", "speeds ( <*> )"),
        ("at Sat Jun 14 15:16:01 2005", "at <*>"),
        ("may 5 fail", "may <*> fail"),
        ("call init() now", "call init(<*>) now"),
        ("nodes node-[3-7] up", "nodes <*> up"),
        ("alignment.......0", "alignment....... <*>"),
        ("mask deadbeef", "mask <*>"),
        ("face deadbee", "face deadbee"),
        ("done. Ok!", "done. Ok!"),
        ("tag=\"two words\" x", "tag=\"two words\" x"),
        ("tag=\"word 2\" x", "tag=<*> x"),
        ("tag=\"never closed", "tag=\"never closed"),
        ("größe 5 µm", "größe <*> µm"),
        ("a\0b", "a b"),
        ("<>", "<>"),
        ("]]]) x", "]]]) x"),
    ] {
        assert_eq!(texts(&[line]), [text], "{line:?}");
    }
}

#[test]
fn a_header_takes_no_part() {
    for (line, text) in [
        ("2024-05-01 12:00:00,978 INFO [main] org.example.Main: started", "started"),
        ("2024-05-01T12:00:00Z WARN example.cache: started", "started"),
        ("Jun  4 15:16:01 host3 sshd(pam)[19939]: started", "started"),
        ("<34>Jun  4 15:16:01 host3 su: started", "started"),
        ("[Sun Dec 04 04:47:44 2005] [notice] started", "started"),
        ("20240501-22:5:9:606|Steps|3002|started", "started"),
        ("[10.30 16:49:06] app.exe - started", "started"),
        ("05-01 16:13:38.811  1702  2395 D Window: started", "started"),
        ("a.log.1.2024-05-01_13:53:08 2024-05-01 00:00:00.008 25746 INFO a.b.c [req-1 - -] [x: 1] y", "[x: <*>] y"),
        // These are messages.
        ("started at 2024-05-01 12:00:00 INFO x", "started at <*> INFO x"),
        ("12 lines: x", "<*> lines: x"),
        ("May be: x", "May be: x"),
    ] {
        assert_eq!(texts(&[line]).concat(), text, "{line:?}");
    }
    for cut in 0..60 {
        // Cut anywhere: nothing is out of bounds.
        texts(&[&"2024-05-01 12:00:00,978 INFO [main[x]] org.example.Main: started"[..cut]]);
    }
}

#[test]
fn enough_words_make_a_variable() {
    let users = ["ann", "bob", "cid", "dan", "eve", "fay"];
    let tries: Vec<String> = users.iter().map(|user| format!("refused key of {user} twice")).collect();
    let tries: Vec<&str> = tries.iter().map(String::as_str).collect();
    assert!(texts(&tries).iter().all(|text| text == "refused key of <*> twice"));
    // Four are not enough: they may be what the line says.
    assert_eq!(texts(&tries[..4]), tries[..4]);
    // At the beginning it takes more, after a noun that announces a name less.
    let first: Vec<String> = users.iter().map(|user| format!("{user} was started")).collect();
    assert_eq!(texts(&first.iter().map(String::as_str).collect::<Vec<_>>()), first);
    assert_eq!(texts(&["bye user ann", "bye user bob"]), ["bye user <*>"; 2]);
}

#[test]
fn a_value_here_and_a_word_there_are_one() {
    assert_eq!(texts(&["pool size is 5 now", "pool size is unlimited now"]), ["pool size is <*> now"; 2]);
    assert_eq!(texts(&["pool size is unlimited now", "pool size is 5 now"]), ["pool size is <*> now"; 2]);
    assert_eq!(texts(&["size 5", "size x"]), ["size <*>", "size x"]);
}

#[test]
fn two_positions_vary_together() {
    let pairs: Vec<String> = ('a'..='l').map(|c| format!("moved pod {c}x over to node {c}y at last")).collect();
    let found = texts(&pairs.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(found.iter().all(|text| text == "moved pod <*> over to node <*> at last"), "{found:?}");
}

#[test]
fn joined_templates_keep_the_older_id_and_exact_counts() {
    let mut miner = Miner::new(Limits::default());
    let other = miner.observe("something else").id;
    let ids: Vec<Observed> = ["ann", "bob", "cid", "dan", "eve", "ann", "eve"]
        .iter()
        .map(|user| miner.observe(&format!("refused key of {user} twice")))
        .collect();
    let [first, second, .., last] = &ids[..] else { panic!() };
    assert!(first.new && second.new && !last.new);
    assert_ne!(first.id, second.id);
    assert_eq!(miner.resolve(second.id), first.id);
    assert_eq!(last.id, first.id);
    let view = miner.template(second.id).unwrap();
    assert_eq!((view.id, view.count, view.first_line, view.last_line), (first.id, 7, 2, 8));
    assert_eq!(view.examples.len(), 1);
    assert_eq!(view.examples[0].len(), 3);
    assert!(view.examples[0].iter().all(|user| ["ann", "bob", "cid", "dan", "eve"].contains(&user.as_str())));
    assert_eq!(miner.ids(), [other, first.id]);
    assert_eq!(miner.stats(), Stats { lines: 8, joined: 4, ..Stats::default() });
    // A number given once is not given again.
    assert_eq!(miner.observe("brand new").id.get(), 7);
}

#[test]
fn a_site_is_one_template_whatever_it_says() {
    let mut miner = Miner::new(Limits::default());
    let a = miner.observe_at("lease.go:223", "Resetting endpoints for service \"kubernetes\" to [10.0.0.1]");
    let b = miner.observe_at("lease.go:223", "Resetting endpoints for service \"dns\" to [10.0.0.1 10.0.0.2]");
    let c = miner.observe_at("lease.go:223", "Resetting gives up");
    let d = miner.observe_at("lease.go:224", "Resetting gives up");
    let e = miner.observe("Resetting gives up");
    assert!(a.new && !b.new && !c.new && d.new && e.new);
    assert_eq!((a.id, a.id), (b.id, c.id));
    assert!(d.id != a.id && e.id != d.id);
    let view = miner.template(a.id).unwrap();
    assert_eq!((view.text.as_str(), view.count), ("Resetting <*>", 3));
    assert_eq!(miner.observe_at("lease.go:223", "Resetting gives up"), c);
}

#[test]
fn a_new_template_is_compared_with_the_nearest() {
    let mut miner = Miner::new(Limits::default());
    let old = miner.observe("lease of node-1 expired after 40 s").id;
    miner.observe("volume mounted");
    let new = miner.observe("lease of node-1 expired early after 12 s").id;
    let (nearest, steps) = miner.nearest(new).unwrap();
    assert_eq!(nearest, old);
    let same = |text: &str| Change::Same(text.into());
    assert_eq!(steps, [same("lease of <*> expired"), Change::New("early".into()), same("after <*>")]);
    assert_eq!(miner.nearest(old), None);
}

/// Words made of a number's digits, so that no two numbers give the same and none has a digit in it.
fn name(mut number: u64) -> String {
    let mut name = String::from("q");
    while number > 0 {
        name.push(char::from(b'a' + (number % 10) as u8));
        number /= 10;
    }
    name
}

/// Lines of many statements with variables of all kinds.
fn traffic(lines: u64) -> impl Iterator<Item = String> {
    (0..lines).map(|n| {
        let statement = name(n * n % 97);
        let user = name(n % 13);
        match n % 4 {
            0 => format!("{statement} opened the volume of {user} in {n} ms"),
            1 => format!("{statement} closed {user} with code={n}"),
            2 => format!("{statement}: cannot reach 10.0.{}.1:80 ({user})", n % 250),
            _ => format!("sync {statement} {user} {statement}"),
        }
    })
}

#[test]
fn a_loaded_miner_goes_on_where_the_saved_one_was() {
    let mut miner = Miner::new(Limits::default());
    traffic(3000).for_each(|line| _ = miner.observe(&line));
    miner.observe_at("a.go:1", "größe 7");
    let mut saved = Vec::new();
    miner.save(&mut saved).unwrap();
    let mut loaded = Miner::load(&saved[..], Limits::default()).unwrap();
    assert_eq!((loaded.ids(), loaded.stats()), (miner.ids(), miner.stats()));
    for id in miner.ids() {
        assert_eq!(loaded.template(id), miner.template(id));
    }
    for line in traffic(6000) {
        assert_eq!(loaded.observe(&line), miner.observe(&line), "{line}");
    }
    assert_eq!(loaded.observe_at("a.go:1", "x"), miner.observe_at("a.go:1", "x"));
    let mut again = Vec::new();
    let mut other = Vec::new();
    loaded.save(&mut again).unwrap();
    miner.save(&mut other).unwrap();
    assert_eq!(again, other);
}

#[test]
fn a_damaged_registry_is_refused() {
    let mut miner = Miner::new(Limits::default());
    traffic(40).for_each(|line| _ = miner.observe(&line));
    let mut saved = Vec::new();
    miner.save(&mut saved).unwrap();
    for cut in 0..saved.len() {
        Miner::load(&saved[..cut], Limits::default()).unwrap_err();
    }
    for at in 0..saved.len() {
        let mut damaged = saved.clone();
        damaged[at] ^= 0x41;
        Miner::load(&damaged[..], Limits::default()).unwrap_err();
        // Behind a checksum that fits, whatever it says is read without harm.
        if let Some(end) = saved.len().checked_sub(4).filter(|end| (16..*end).contains(&at)) {
            let sum = crc32fast::hash(&damaged[16..end]).to_le_bytes();
            damaged[end..].copy_from_slice(&sum);
            if let Ok(mut miner) = Miner::load(&damaged[..], Limits::default()) {
                traffic(4).for_each(|line| _ = miner.observe(&line));
                miner.ids().into_iter().for_each(|id| _ = miner.template(id));
            }
        }
    }
    saved[6] = 9;
    assert!(matches!(Miner::load(&saved[..], Limits::default()), Err(LoadError::Version(9))));
    assert!(matches!(Miner::load(&b"{}"[..], Limits::default()), Err(LoadError::NotARegistry)));
}

#[test]
fn memory_stays_within_its_limit() {
    let limits = Limits { bytes: 256 << 10, ..Limits::default() };
    let mut miner = Miner::new(limits);
    let mut last = TemplateId(0);
    for n in 0..20_000u64 {
        // One statement is seen all the time, the others once.
        miner.observe("heartbeat of the leader");
        let words = [n, n * 7, n * 31, n * 101].map(name);
        let line = format!("{}{} : {}", words.join(" "), " x".repeat((n % 9) as usize), words[0]);
        last = last.max(miner.observe(&line).id);
        assert!(miner.bytes() <= limits.bytes, "{} bytes after {n}", miner.bytes());
    }
    let stats = miner.stats();
    assert!(stats.evicted_templates > 10_000, "{stats:?}");
    let counted: u64 = miner.ids().into_iter().map(|id| miner.template(id).unwrap().count).sum();
    assert_eq!(counted + stats.evicted_lines, stats.lines);
    let heartbeat = miner.observe("heartbeat of the leader");
    assert_eq!((heartbeat.id.get(), heartbeat.new), (1, false));
    // A statement forgotten comes back under a new number.
    let back = miner.observe(&format!("{} : q", [1, 7, 31, 101].map(name).join(" ")));
    assert!(back.id > last);
}

#[test]
fn nasty_lines_are_bounded() {
    let long = "x".repeat(10 << 20);
    let wide = "é".repeat(1 << 20);
    let words = "a b ".repeat(1 << 20);
    let opened = "[(".repeat(1 << 20);
    let quotes = "a=\"".repeat(1 << 20);
    let mut miner = Miner::new(Limits::default());
    for line in [&long, &wide, &words, &opened, &quotes] {
        let id = miner.observe(line).id;
        assert!(miner.template(id).unwrap().text.len() <= token::LINE_BYTES_MAX + 4 * token::TOKENS_MAX);
        assert_eq!(miner.observe(line).id, id);
    }
    assert!(miner.bytes() < 1 << 20);
}

/// A checksum finds accidents only.
#[test]
fn a_registry_that_contradicts_itself_is_refused() {
    let mut miner = Miner::new(Limits::default());
    miner.observe("connection 1 closed");
    miner.observe("took 7 ms in all");
    let mut saved = Vec::new();
    miner.save(&mut saved).unwrap();
    let load = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut body = saved[16..saved.len() - 4].to_vec();
        change(&mut body);
        let length = (body.len() as u64).to_le_bytes();
        let file = [&saved[..8], &length, &body, &crc32fast::hash(&body).to_le_bytes()].concat();
        Miner::load(file.as_slice(), Limits::default())
    };
    let put =
        |at: usize, number: u64| move |body: &mut Vec<u8>| body[at..at + 8].copy_from_slice(&number.to_le_bytes());
    let alias = |alias: u64, older: u64| {
        move |body: &mut Vec<u8>| {
            body.truncate(body.len() - 4);
            body.extend(1u32.to_le_bytes());
            body.extend([alias, older].map(u64::to_le_bytes).concat());
        }
    };
    assert!(load(&|_| {}).is_ok());
    assert!(load(&put(0, 9)).is_ok());
    assert!(
        load(&|body| {
            put(0, 9)(body);
            alias(3, 1)(body);
        })
        .is_ok()
    );
    type Harm<'h> = &'h dyn Fn(&mut Vec<u8>);
    let refused: [Harm<'_>; 7] = [
        &put(0, u64::MAX), // the next id
        &put(0, 2),        // it is taken
        &put(8, u64::MAX), // lines
        &put(8, 1),        // fewer than are counted
        &put(32, 1),       // evicted lines
        &alias(2, 1),      // a living template
        &alias(3, 1),      // an id not given yet
    ];
    for (number, change) in refused.into_iter().enumerate() {
        assert!(matches!(load(change), Err(LoadError::Damaged { .. })), "{number}");
    }
}
