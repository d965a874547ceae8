// SPDX-License-Identifier: GPL-2.0

//! Charts of what the transport costs, drawn by plotters.

use std::ops::Range;

use maud::PreEscaped;
use plotters::coord::Shift;
use plotters::prelude::*;
use results::Count;

use crate::facts::Measured;
use crate::section::Picture;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// What is drawn of a count.
type Pick = fn(&Count) -> Option<f64>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Colours that can be told apart on white and on black, also by those who see few colours.
const C: RGBColor = RGBColor(66, 133, 220);
const RUST: RGBColor = RGBColor(222, 110, 30);
const FLOOR: RGBColor = RGBColor(140, 149, 159);

/// A font that the page's style sheet replaces.
const FONT: &str = "sans-serif";
/// The width of all charts, in pixels.
const WIDTH: u32 = 760;

/// How the counts grow with N, a picture a case.
pub(crate) fn growth(part: &str, counts: &[Count]) -> Vec<Picture> {
    let mut cases: Vec<&str> = Vec::new();
    for count in counts.iter().filter(|count| count.n.is_some()) {
        if !cases.contains(&count.case.as_str()) {
            cases.push(&count.case);
        }
    }
    let picture = |case: &&str| {
        let of = |count: &&Count| count.n.is_some() && count.case == *case;
        let of: Vec<&Count> = counts.iter().filter(of).collect();
        let mut quantities: Vec<&str> = Vec::new();
        for count in &of {
            if !quantities.contains(&count.quantity.as_str()) {
                quantities.push(&count.quantity);
            }
        }
        let size = (WIDTH, 230 * quantities.len().div_ceil(2) as u32);
        let title = format!("{part}: growth with N, {case} (blue: C, orange: Rust, grey: floor)");
        render(&title, &format!("{part}-growth-{case}"), size, |root| {
            let areas = root.split_evenly((quantities.len().div_ceil(2), 2));
            for (area, quantity) in areas.iter().zip(&quantities) {
                let of: Vec<&Count> = of
                    .iter()
                    .filter(|c| c.quantity == *quantity)
                    .copied()
                    .collect();
                lines(area, quantity, &of)?;
            }
            Ok(())
        })
    };
    cases.iter().filter_map(picture).collect()
}

/// The intervals of all series of a part.
pub(crate) fn intervals(part: &str, measured: &Measured) -> Option<Picture> {
    let series = measured.measurements.series.iter().zip(&measured.ratios);
    let rows: Vec<(String, f64, f64, f64)> = series
        .filter_map(|(series, ratio)| {
            let ratio = (*ratio)?;
            let n = series.n.map_or(String::new(), |n| format!(", N = {n}"));
            let name = format!("{}, {}{n}", series.quantity, series.case);
            let percent = [ratio.low, ratio.relative, ratio.high].map(|part| 100.0 * part);
            Some((name, percent[0], percent[1], percent[2]))
        })
        .collect();
    if rows.is_empty() {
        return None;
    }
    let title = format!("{part}: (Rust − C) / C in percent, median and 95 % interval");
    let size = (WIDTH, 50 + 24 * rows.len() as u32);
    render(&title, &format!("{part}-intervals"), size, |root| {
        forest(root, &rows)
    })
}

/// Draws into a string. Plotters fails only where the area is too small for a chart.
fn render(
    title: &str,
    name: &str,
    size: (u32, u32),
    draw: impl FnOnce(&Area<'_>) -> Drawn,
) -> Option<Picture> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        draw(&root).and_then(|()| Ok(root.present()?)).ok()?;
    }
    let svg = svg.replacen("<svg ", "<svg class=\"chart\" role=\"img\" ", 1);
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    Some(Picture {
        title: title.to_owned(),
        name: name.chars().map(plain).collect(),
        file: file(&svg),
        svg: PreEscaped(svg),
        open: true,
    })
}

/// A chart as a file of its own, whose black text needs a white ground.
fn file(svg: &str) -> String {
    let ground = "><rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>";
    let svg = svg.replacen('>', ground, 1);
    format!("<!-- SPDX-License-Identifier: GPL-2.0 -->\n{svg}")
}

fn range(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (mut low, mut high) = (0.0_f64, 0.0_f64);
    for value in values {
        low = low.min(value);
        high = high.max(value);
    }
    let margin = ((high - low) * 0.08).max(0.01);
    low - if low < 0.0 { margin } else { 0.0 }..high + margin
}

fn lines(area: &Area<'_>, quantity: &str, counts: &[&Count]) -> Drawn {
    let all = counts
        .iter()
        .flat_map(|count| [count.c, count.rust, count.floor.unwrap_or(0.0)]);
    let last = counts.iter().filter_map(|count| count.n).max().unwrap_or(1);
    let mut chart = ChartBuilder::on(area)
        .caption(quantity, (FONT, 14))
        .margin(8)
        .x_label_area_size(24)
        .y_label_area_size(40)
        .build_cartesian_2d(0.0..f64::from(last), range(all))?;
    chart
        .configure_mesh()
        .disable_mesh()
        .axis_style(FLOOR)
        .label_style((FONT, 11))
        .x_labels(5)
        .y_labels(5)
        .x_label_formatter(&|n| format!("{n:.0}"))
        .y_label_formatter(&|n| format!("{n:.0}"))
        .draw()?;
    let picks: [(RGBColor, Pick); 3] = [
        (FLOOR, |count| count.floor),
        (C, |count| Some(count.c)),
        (RUST, |count| Some(count.rust)),
    ];
    for (colour, pick) in picks {
        let points: Vec<(f64, f64)> = counts
            .iter()
            .filter_map(|count| Some((f64::from(count.n?), pick(count)?)))
            .collect();
        let style = ShapeStyle::from(&colour).stroke_width(2);
        chart.draw_series(LineSeries::new(points.clone(), style))?;
        chart.draw_series(
            points
                .into_iter()
                .map(|at| Circle::new(at, 3, colour.filled())),
        )?;
    }
    Ok(())
}

fn forest(area: &Area<'_>, rows: &[(String, f64, f64, f64)]) -> Drawn {
    let ends = rows.iter().flat_map(|(_, low, _, high)| [*low, *high]);
    let mut x = range(ends);
    x.end = x.end.max(0.5);
    x.start = x.start.min(-0.5);
    let count = rows.len() as f64;
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .margin_right(16)
        .x_label_area_size(24)
        .y_label_area_size(300)
        .build_cartesian_2d(x, -0.5..count - 0.5)?;
    chart
        .configure_mesh()
        .disable_mesh()
        .axis_style(FLOOR)
        .label_style((FONT, 11))
        .x_labels(7)
        .y_labels(0)
        .x_label_formatter(&|percent| format!("{percent:+.1}").replace('-', "−"))
        .draw()?;
    let zero = [(0.0, -0.5), (0.0, count - 0.5)];
    chart.draw_series(LineSeries::new(zero, FLOOR))?;
    for (at, (name, low, middle, high)) in rows.iter().enumerate() {
        let y = count - 1.0 - at as f64;
        let style = ShapeStyle::from(&RUST).stroke_width(2);
        chart.draw_series(LineSeries::new([(*low, y), (*high, y)], style))?;
        chart.draw_series([Circle::new((*middle, y), 4, RUST.filled())])?;
        let (_, place) = chart.backend_coord(&(0.0, y));
        area.draw(&plotters::element::Text::new(
            name.as_str(),
            (8, place - 7),
            (FONT, 11),
        ))?;
    }
    Ok(())
}
