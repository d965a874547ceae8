// SPDX-License-Identifier: GPL-2.0

//! What the guest sees of a device, compared.

use serde::{Deserialize, Serialize};

/// What the guest saw of one device with one driver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observations {
    /// The names in /proc/interrupts.
    pub interrupts: Vec<String>,
    /// The negotiated features, from sysfs.
    pub features: String,
    /// The device status, from sysfs.
    pub status: String,
    /// Further sysfs attributes with their values.
    pub attributes: Vec<(String, String)>,
}

/// One thing that was seen with both drivers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Observed {
    /// What.
    pub what: String,
    /// With the C driver.
    pub c: String,
    /// With the Rust driver.
    pub rust: String,
}

/// Puts both side by side; device indices are masked.
pub(crate) fn pair(c: &Observations, rust: &Observations) -> Vec<Observed> {
    let observed = |what: &str, c: String, rust: String| Observed {
        what: what.to_owned(),
        c,
        rust,
    };
    let interrupts = |o: &Observations| {
        let mut names: Vec<String> = o.interrupts.iter().map(|n| mask(n)).collect();
        names.sort();
        names.join(" ")
    };
    let mut result = vec![
        observed("interrupts", interrupts(c), interrupts(rust)),
        observed("features", c.features.clone(), rust.features.clone()),
        observed("status", c.status.clone(), rust.status.clone()),
    ];
    let value = |o: &Observations, name: &str| {
        let found = o.attributes.iter().find(|(n, _)| n == name);
        found.map_or("absent".to_owned(), |(_, v)| v.clone())
    };
    let mut names: Vec<&String> = Vec::new();
    for (name, _) in c.attributes.iter().chain(&rust.attributes) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    for name in names {
        result.push(observed(
            name,
            mask(&value(c, name)),
            mask(&value(rust, name)),
        ));
    }
    result
}

/// Replaces the index in each `virtio<index>` by N.
fn mask(text: &str) -> String {
    const WORD: &str = "virtio";
    let mut result = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(WORD) {
        let (head, tail) = rest.split_at(at + WORD.len());
        result.push_str(head);
        rest = tail.trim_start_matches(|c: char| c.is_ascii_digit());
        if rest.len() < tail.len() {
            result.push('N');
        }
    }
    result + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_indices_are_masked() {
        assert_eq!(mask("virtio12-req.0"), "virtioN-req.0");
        assert_eq!(mask("a/virtio0/virtio"), "a/virtioN/virtio");
        assert_eq!(mask("virtio-pci"), "virtio-pci");
    }

    #[test]
    fn names_are_compared_without_order_and_values_are_not() {
        let names = |n: &[&str]| Observations {
            interrupts: n.iter().map(|s| s.to_string()).collect(),
            attributes: vec![("vendor".into(), n[0].into())],
            ..Observations::default()
        };
        let pairs = pair(
            &names(&["virtio0-config", "virtio0-req.0"]),
            &names(&["virtio3-req.0", "virtio3-config"]),
        );
        assert_eq!(pairs[0].c, pairs[0].rust);
        assert_ne!(pairs[3].c, pairs[3].rust);
    }
}
