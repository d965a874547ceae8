// SPDX-License-Identifier: GPL-2.0

//! What other legacy drivers do, beside these two.

use crate::section::{Block, Picture, Section};
use drivers::catalogue::Catalogue;
use drivers::{picture, Matrix};

/// The matrix of drivers and rules.
pub(super) fn section() -> Section {
    let matrix = Catalogue::load().and_then(|catalogue| Matrix::of_fixtures(&catalogue));
    let block = match matrix {
        Ok(matrix) => Block::Picture(Picture {
            title: "Drivers and the rules of the specification that they break".to_owned(),
            name: "drivers".to_owned(),
            svg: picture::inline(&matrix),
            file: picture::svg(&matrix),
            open: true,
        }),
        Err(error) => Block::Missing(format!("The traces of the drivers: {error:#}.")),
    };
    let text = "Legacy drivers that packages bring, judged by virtio-check against the standard. \
                docs/drivers.md has the accesses around each breach. An empty square was not \
                reached, which is no pass.";
    Section {
        id: "drivers",
        title: "Other drivers",
        blocks: vec![Block::Text(text.into()), block],
    }
}
