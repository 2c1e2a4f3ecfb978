//! The certificate as a page for people: one file, nothing loaded, fit to print.

use std::fmt::Write as _;

use placement_api::{Certificate, Clients, Leg, Outcome, SwitchReport};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b}\
h1{font-size:1.6rem;margin-bottom:0}h2{font-size:1.1rem;margin-top:2rem}\
.verdict{display:inline-block;padding:.2rem .8rem;border-radius:1rem;color:#fff;background:#1a7f37}\
.verdict.bad{background:#b42318}.verdict.open{background:#57606a}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #d8dee4}\
td.n{text-align:right;font-variant-numeric:tabular-nums}small,.dim{color:#57606a}code{font-size:.85em;word-break:break-all}";

/// The page.
pub(super) fn html(certificate: &Certificate) -> String {
    let mut page = Page(String::with_capacity(8 * 1024));
    page.head(certificate);
    page.story(certificate);
    for switch in &certificate.switches {
        page.switch(switch);
    }
    page.clients(certificate.clients);
    page.compared(certificate);
    page.invariants(certificate);
    page.end(certificate);
    page.0
}

struct Page(String);

impl Page {
    fn add(&mut self, markup: std::fmt::Arguments<'_>) {
        self.0.write_fmt(markup).expect("writing to a string cannot fail");
    }

    fn head(&mut self, c: &Certificate) {
        let module = escaped(c.module.as_str());
        let (word, class) = match (c.outcome, c.clean) {
            (None, _) => ("under way", "verdict open"),
            (Some(Outcome::Completed), true) => ("completed, nothing lost", "verdict"),
            (Some(Outcome::Reversed), true) => ("reversed, nothing lost", "verdict"),
            (Some(Outcome::Cancelled), true) => ("cancelled, nothing changed", "verdict"),
            (Some(_), _) => ("not clean", "verdict bad"),
        };
        self.add(format_args!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <title>Certificate: {module}</title><style>{STYLE}</style>\
             <h1>{module}: {} &rarr; {}</h1><p><span class=\"{class}\">{word}</span></p>",
            escaped(c.from.as_str()),
            escaped(c.to.as_str()),
        ));
        if !c.faults.is_empty() {
            self.add(format_args!("<ul>"));
            for fault in &c.faults {
                self.add(format_args!("<li>{}</li>", escaped(fault)));
            }
            self.add(format_args!("</ul>"));
        }
    }

    fn story(&mut self, c: &Certificate) {
        let ended = c.ended_at.map_or("under way".to_owned(), |at| at.to_string());
        self.add(format_args!("<h2>Who, why, when</h2><table>"));
        self.row("wished by", &escaped(c.who.as_str()));
        self.row("because", &escaped(c.reason.as_str()));
        self.row("begun", &c.begun_at.to_string());
        self.row("ended", &ended);
        self.row("rows copied", &c.rows_copied.to_string());
        self.row("changes followed", &c.rows_followed.to_string());
        self.row("coordinators that took over", &c.restarts.to_string());
        self.add(format_args!("</table>"));
    }

    fn row(&mut self, name: &str, value: &str) {
        self.add(format_args!("<tr><th>{name}</th><td class=\"n\">{value}</td></tr>"));
    }

    fn switch(&mut self, s: &SwitchReport) {
        let way = match s.leg {
            Leg::There => "The switch",
            Leg::Back => "The switch back",
        };
        self.add(format_args!("<h2>{way} <small>epoch {}, {}</small></h2><table>", s.epoch, s.at));
        if s.recovered {
            self.add(format_args!(
                "<tr><td colspan=\"2\">Found done after its coordinator had died; its times are not known.</td></tr>"
            ));
        }
        let p = &s.pause;
        for (name, us) in [
            ("writes stood still", p.total_us),
            ("&nbsp;&nbsp;gates close, calls end", p.hold_us),
            ("&nbsp;&nbsp;what came meanwhile followed", p.near_us),
            ("&nbsp;&nbsp;fence", p.lock_us),
            ("&nbsp;&nbsp;last changes followed", p.follow_us),
            ("&nbsp;&nbsp;source given up", p.commit_us),
            ("&nbsp;&nbsp;target opened", p.flip_us),
            ("&nbsp;&nbsp;placement told", p.record_us),
            ("&nbsp;&nbsp;processes told, gates open", p.release_us),
            ("callers held, median", s.held.p50_us),
            ("callers held, 99 of 100", s.held.p99_us),
            ("callers held, longest", s.held.max_us),
        ] {
            self.row(name, &milliseconds(us));
        }
        self.row("callers held", &s.held.calls.to_string());
        self.row("changes left when the fence fell", &s.lag_rows.to_string());
        self.row("tries", &s.tries.to_string());
        self.add(format_args!("</table>"));
    }

    fn clients(&mut self, clients: Clients) {
        self.add(format_args!("<h2>Clients</h2>"));
        if clients.counted {
            self.add(format_args!(
                "<p>{} errors in {} requests, as the proxy counted them.</p>",
                clients.errors, clients.requests
            ));
        } else {
            self.add(format_args!("<p class=\"dim\">No proxy stood in front to count them.</p>"));
        }
    }

    fn compared(&mut self, c: &Certificate) {
        let rows: u64 = c.compared.iter().map(|table| table.rows).sum();
        self.add(format_args!("<h2>Compared <small>{rows} rows</small></h2><table>"));
        for table in &c.compared {
            let equal = if table.equal { "equal" } else { "<b>differs</b>" };
            self.row(&escaped(&table.table), &format!("{} rows, {equal}", table.rows));
        }
        self.add(format_args!("</table>"));
    }

    fn invariants(&mut self, c: &Certificate) {
        self.add(format_args!("<h2>Invariants</h2><table>"));
        for invariant in &c.invariants {
            let held = match invariant.broken.len() {
                0 => "holds".to_owned(),
                _ => format!("<b>broken</b>: {}", escaped(&invariant.broken.join("; "))),
            };
            let value = format!("{held} <small>({} checked)</small>", invariant.checked);
            self.row(&escaped(&invariant.name), &value);
        }
        self.add(format_args!("</table>"));
    }

    fn end(&mut self, c: &Certificate) {
        self.add(format_args!(
            "<p class=\"dim\"><small>Carve <code>{}</code>, configuration <code>{}</code></small></p></html>\n",
            c.carve,
            escaped(&c.configuration_sha256)
        ));
    }
}

fn milliseconds(us: u64) -> String {
    format!("{}.{} ms", us / 1000, us % 1000 / 100)
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}
