// SPDX-License-Identifier: GPL-2.0

//! The handshake as a picture: a lane a driver, a box an access, states coloured below.
//!
//! The SVG is written as markup and not by a plotting library: those that have a backend for SVG
//! (plotters) cannot put a `<title>`, the tool-tip, into a mark.

use crate::ground::{style, Ground};
use crate::marks::{self, Mark, Span, Stage};
use crate::{Breach, DeviceState, DeviceTrace, Phase};
use maud::{html, Markup, PreEscaped, Render};

/// The colours, for light and for dark; a page has them once for all its pictures.
pub const STYLE: &str = include_str!("picture.css");

/// The width of a box, in user units as all lengths here.
const CELL: usize = 34;
/// The room for the names of the lanes.
const GUTTER: usize = 96;
/// The height of a lane without a breach.
const LANE: usize = 72;
/// The room for the words to a breach.
const BREACH: usize = 18;
/// The room for the title of a panel.
const HEAD: usize = 26;
/// The room for the axis below the lanes of a panel.
const AXIS: usize = 24;
/// About the width of a character of the small text.
const CHARACTER: usize = 6;
/// No more than the width of a character of the words to a breach, which are bold.
const BOLD: usize = 8;

/// One driver's accesses to a device.
pub struct Lane<'a> {
    /// Whose.
    pub name: &'a str,
    /// All that was traced.
    pub device: &'a DeviceTrace,
    /// What breaks the specification in it.
    pub breaches: Vec<&'a Breach>,
    /// The one phase that is shown, if not all are.
    pub only: Option<Phase>,
}

/// A phase, or a part of a trace that has no phases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panel {
    /// The phase.
    pub phase: Phase,
    /// Which time the device had it.
    pub round: usize,
    /// What stands above it.
    pub title: String,
}

/// What a lane shows in a panel.
struct Row<'a> {
    name: &'a str,
    marks: Vec<Mark>,
    spans: Vec<Span>,
    /// The status before the first mark.
    before: Stage,
}

impl Row<'_> {
    /// The first mark that breaks a rule, and the words to it.
    fn breach(&self) -> Option<(usize, String)> {
        let mut marks = self.marks.iter().enumerate();
        let (at, first) = marks.find_map(|(at, mark)| Some((at, mark.breaches.first()?)))?;
        let others = marks.filter(|(_, mark)| !mark.breaches.is_empty()).count();
        let more = match others {
            0 => String::new(),
            n => format!("; {n} more behind it"),
        };
        Some((at, format!("{first}{more}")))
    }

    fn height(&self) -> usize {
        LANE + if self.breach().is_some() { BREACH } else { 0 }
    }

    fn count(&self) -> u64 {
        self.marks.iter().map(|mark| mark.count).sum()
    }
}

/// The panels that these lanes have something in: the phases that are compared.
pub fn panels(lanes: &[Lane<'_>]) -> Vec<Panel> {
    let mut panels: Vec<Panel> = Vec::new();
    for segment in lanes.iter().flat_map(|lane| &lane.device.segments) {
        let (phase, round) = (segment.phase, segment.round);
        let is_new = panels.iter().all(|p| (p.phase, p.round) != (phase, round));
        if is_new && phase.is_compared() && !segment.accesses.is_empty() {
            let title = match round {
                0 => phase.to_string(),
                n => format!("{phase}, time {}", n + 1),
            };
            panels.push(Panel {
                phase,
                round,
                title,
            });
        }
    }
    panels
}

/// Draws the panels below each other.
pub fn draw(title: &str, lanes: &[Lane<'_>], panels: &[Panel]) -> Picture {
    let mut y = 0;
    let mut columns = 0;
    let mut content = Vec::new();
    for panel in panels {
        let rows: Vec<Row<'_>> = lanes.iter().filter_map(|lane| row(lane, panel)).collect();
        let longest = rows.iter().map(|row| row.marks.len()).max().unwrap_or(0);
        columns = columns.max(longest);
        content.push(panel_title(y, &panel.title));
        y += HEAD;
        for row in &rows {
            content.push(lane(row, y));
            y += row.height();
        }
        content.push(axis(longest, y));
        y += AXIS;
    }
    let words = rows_of_words(lanes, panels);
    Picture {
        title: title.to_owned(),
        width: GUTTER + (columns * CELL).max(words) + CELL / 2,
        height: y,
        content,
    }
}

/// The width that the words to the breaches need.
fn rows_of_words(lanes: &[Lane<'_>], panels: &[Panel]) -> usize {
    let rows = panels
        .iter()
        .flat_map(|panel| lanes.iter().filter_map(|lane| row(lane, panel)));
    let needs = rows.filter_map(|row| {
        let (at, text) = row.breach()?;
        Some(words_at(at, &text).1)
    });
    needs.max().unwrap_or(0)
}

/// Where the words to a breach begin and end, beside the mark at `at`.
fn words_at(at: usize, text: &str) -> (usize, usize) {
    let begin = at * CELL + CELL / 2 + 8;
    (begin, begin + text.chars().count() * BOLD + 30)
}

fn row<'a>(lane: &Lane<'a>, panel: &Panel) -> Option<Row<'a>> {
    if lane.only.is_some_and(|phase| phase != panel.phase) {
        return None;
    }
    let mut state = DeviceState::default();
    for segment in &lane.device.segments {
        if segment.phase == Phase::PowerOn {
            state = DeviceState::default();
        }
        let before = Stage::of(state.status);
        let (marks, spans) = marks::marks(segment, &panel.title, &lane.breaches, &mut state);
        if (segment.phase, segment.round) == (panel.phase, panel.round) {
            return (!marks.is_empty()).then_some(Row {
                name: lane.name,
                marks,
                spans,
                before,
            });
        }
    }
    None
}

/// A picture that is drawn but for its frame.
pub struct Picture {
    title: String,
    width: usize,
    height: usize,
    content: Vec<Markup>,
}

impl Picture {
    /// The SVG to be put into a page that has [`STYLE`].
    pub fn inline(&self) -> Markup {
        self.frame(self.width, self.height, html! {})
    }

    /// The SVG as a file of its own: with the legend, and the colours of one scheme.
    pub fn file(&self, ground: Ground) -> String {
        let width = self.width.max(LEGEND_WIDTH);
        let height = self.height + LEGEND_HEIGHT;
        let first = html! {
            style { (PreEscaped(style(ground))) }
            rect.hs-paper width=(width) height=(height) {}
            g transform=(format!("translate(0 {})", self.height)) { (legend()) }
        };
        with_licence(self.frame(width, height, first))
    }

    fn frame(&self, width: usize, height: usize, first: Markup) -> Markup {
        html! {
            svg.hs xmlns="http://www.w3.org/2000/svg" role="img" aria-label=(self.title)
                width=(width) height=(height) viewBox=(format!("0 0 {width} {height}")) {
                (first)
                @for part in &self.content { (part) }
            }
        }
    }
}

/// A text with the attributes of its place.
struct Text<'a> {
    x: usize,
    y: usize,
    class: &'a str,
    text: &'a str,
}

impl Render for Text<'_> {
    fn render(&self) -> Markup {
        html! { text class=(self.class) x=(self.x) y=(self.y) { (self.text) } }
    }
}

fn panel_title(y: usize, title: &str) -> Markup {
    let y = y + 18;
    html! { (Text { x: 4, y, class: "hs-title", text: title }) "\n" }
}

fn lane(row: &Row<'_>, y: usize) -> Markup {
    let accesses = format!("{} accesses", row.count());
    html! {
        g transform=(format!("translate(0 {y})")) {
            (Text { x: 4, y: 30, class: "hs-name", text: row.name })
            (Text { x: 4, y: 44, class: "hs-small", text: &accesses })
            g transform=(format!("translate({GUTTER} 0)")) {
                @for span in &row.spans { (bracket(span)) }
                @for (at, mark) in row.marks.iter().enumerate() { (access(mark, at)) }
                @for part in band(row) { (part) }
                @if let Some((at, text)) = row.breach() { (pointer(at, &text)) }
            }
        }
        "\n"
    }
}

/// The bracket above the boxes of a step.
fn bracket(span: &Span) -> Markup {
    let (left, right) = (span.from * CELL + 2, (span.to + 1) * CELL - 2);
    let room = (right - left) / CHARACTER;
    let text = match span.text.chars().count() > room {
        true => &span.short,
        false => &span.text,
    };
    let class = if span.queue {
        "hs-bracket hs-queue"
    } else {
        "hs-bracket"
    };
    html! {
        path class=(class) d=(format!("M{left} 17v-3H{right}v3")) {}
        (Text { x: (left + right) / 2, y: 11, class: "hs-small hs-middle", text })
    }
}

fn access(mark: &Mark, at: usize) -> Markup {
    let x = at * CELL;
    let middle = x + CELL / 2;
    let mut class = String::from(if mark.write { "hs-write" } else { "hs-read" });
    if mark.write && mark.label == "ST" {
        class = format!("hs-write {}", mark.stage.class());
    }
    if !mark.breaches.is_empty() {
        class.push_str(" hs-breach");
    }
    let live = mark.changes && mark.stage == Stage::Live;
    let sign = match (mark.value.is_empty() || mark.count > 1, mark.write) {
        (true, _) => "",
        (false, true) => "=",
        (false, false) => "?",
    };
    html! {
        g class=(class) {
            title {
                (mark.text)
                @if mark.count > 1 { "\nthe first of " (mark.count) " such accesses" }
                @for breach in &mark.breaches { "\nbreaks the specification: " (breach) }
            }
            rect x=(x + 2) y="19" width=(CELL - 4) height="27" rx="3" {}
            (Text { x: middle, y: 30, class: "hs-label hs-middle", text: mark.label })
            (Text { x: middle, y: 42, class: "hs-value hs-middle", text: &format!("{sign}{}", mark.value) })
        }
        @if live {
            path.hs-flag d=(format!("M{} 18V2l12 4-12 4", x + CELL - 3)) {
                title { "DRIVER_OK: the device is live" }
            }
        }
    }
}

/// The states, as a band below the boxes.
fn band(row: &Row<'_>) -> Vec<Markup> {
    let mut runs: Vec<(Stage, usize, usize)> = Vec::new();
    for (at, mark) in row.marks.iter().enumerate() {
        match runs.last_mut() {
            Some((stage, _, end)) if *stage == mark.stage => *end = at + 1,
            _ => runs.push((mark.stage, at, at + 1)),
        }
    }
    let before = html! {
        rect class=(format!("hs-band {}", row.before.class())) x="-8" y="49" width="6" height="15" {
            title { "status before: " (row.before.name()) }
        }
    };
    let run = |&(stage, from, to): &(Stage, usize, usize)| {
        let (x, width) = (from * CELL, (to - from) * CELL);
        let text = match stage.name().len() * 7 > width {
            true => stage.short_name(),
            false => stage.name(),
        };
        html! {
            rect class=(format!("hs-band {}", stage.class())) x=(x) y="49" width=(width) height="15" {
                title { "device status: " (stage.name()) ", " (stage.meaning()) }
            }
            (Text { x: x + width / 2, y: 60, class: "hs-small hs-on hs-middle", text })
        }
    };
    std::iter::once(before)
        .chain(runs.iter().map(run))
        .collect()
}

/// What points at the first breach.
fn pointer(at: usize, text: &str) -> Markup {
    let middle = at * CELL + CELL / 2;
    let (x, _) = words_at(at, text);
    html! {
        path.hs-pointer d=(format!("M{middle} 47V{y}h5", y = LANE + 6)) {}
        path.hs-arrow d=(format!("M{middle} 46l-5 8h10z")) {}
        (Text { x, y: LANE + 10, class: "hs-words", text: &format!("✗ {text}") })
    }
}

/// The sequence axis.
fn axis(columns: usize, y: usize) -> Markup {
    let ticks = (1..=columns).filter(|n| *n == 1 || n % 5 == 0);
    html! {
        path.hs-axis d=(format!("M{GUTTER} {}H{}", y + 2, GUTTER + columns * CELL)) {}
        @for n in ticks {
            @let x = GUTTER + (n - 1) * CELL + CELL / 2;
            path.hs-axis d=(format!("M{x} {}v4", y + 2)) {}
            (Text { x, y: y + 16, class: "hs-small hs-middle", text: &n.to_string() })
        }
        (Text { x: 4, y: y + 16, class: "hs-small", text: "in order" })
        "\n"
    }
}

const LEGEND_WIDTH: usize = 800;
const LEGEND_HEIGHT: usize = 196;

/// An SVG as a file.
fn with_licence(svg: Markup) -> String {
    format!(
        "<!-- SPDX-License-Identifier: GPL-2.0 -->\n{}\n",
        svg.into_string()
    )
}

/// The legend as a file of its own.
pub fn legend_file(ground: Ground) -> String {
    let paper = html! {
        style { (PreEscaped(style(ground))) }
        rect.hs-paper width=(LEGEND_WIDTH) height=(LEGEND_HEIGHT) {}
    };
    with_licence(legend_frame(paper))
}

/// The legend as a picture of its own, to be put into a page that has [`STYLE`].
pub fn legend_picture() -> Markup {
    legend_frame(html! {})
}

fn legend_frame(first: Markup) -> Markup {
    html! {
        svg.hs xmlns="http://www.w3.org/2000/svg" role="img" aria-label="Legend"
            width=(LEGEND_WIDTH) height=(LEGEND_HEIGHT)
            viewBox=(format!("0 0 {LEGEND_WIDTH} {LEGEND_HEIGHT}")) { (first) (legend()) }
    }
}

/// What the colours, the boxes and the short names mean.
fn legend() -> Markup {
    let line = |n: usize| 34 + 18 * n;
    html! {
        (Text { x: 4, y: 18, class: "hs-title", text: "Device status" })
        @for (n, stage) in Stage::ALL.into_iter().enumerate() {
            rect class=(format!("hs-band {}", stage.class())) x="4" y=(line(n) - 11) width="88" height="15" {}
            (Text { x: 48, y: line(n), class: "hs-small hs-on hs-middle", text: stage.name() })
            (Text { x: 102, y: line(n), class: "hs-small", text: stage.meaning() })
        }
        (Text { x: 4, y: 142, class: "hs-small", text: "Bits are added, never cleared but by a reset; the legacy interface has no FEATURES_OK." })
        g transform="translate(510 0)" {
            (Text { x: 0, y: 18, class: "hs-title", text: "Accesses" })
            @for (n, (class, text)) in [
                ("hs-write", "a write, with its value"),
                ("hs-read", "a read, with what it gave"),
                ("hs-write hs-breach", "breaks the specification"),
            ].into_iter().enumerate() {
                g class=(class) { rect x="0" y=(line(n) - 11) width="30" height="14" rx="3" {} }
                (Text { x: 38, y: line(n), class: "hs-small", text })
            }
            path.hs-flag d=(format!("M8 {}v-14l12 4-12 4", line(3) + 3)) {}
            (Text { x: 38, y: line(3), class: "hs-small", text: "DRIVER_OK is set: the device is live" })
            path.hs-bracket.hs-queue d=(format!("M2 {}v-4h26v4", line(4))) {}
            (Text { x: 38, y: line(4), class: "hs-small", text: "the accesses that set up a virtqueue" })
        }
        @for (n, (short, long)) in marks::REGISTERS.into_iter().enumerate() {
            @let (column, row) = (n % 6, n / 6);
            @let x = 4 + 134 * column;
            (Text { x, y: 164 + 16 * row, class: "hs-label", text: short })
            (Text { x: x + 37, y: 164 + 16 * row, class: "hs-small", text: long })
        }
    }
}
