// SPDX-License-Identifier: GPL-2.0

//! Kernel configuration: what the fragments want, and whether a `.config` has it.

use std::collections::BTreeMap;

/// What `text` sets: options and values, `n` for those that are not set.
///
/// Reads fragments and `.config` alike; of several lines for an option the last one counts.
pub(crate) fn parse(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .filter_map(|line| {
            let line = line.trim();
            if let Some(rest) = line.strip_prefix("# CONFIG_") {
                let name = rest.strip_suffix(" is not set")?;
                return Some((name, "n"));
            }
            line.strip_prefix("CONFIG_")?.split_once('=')
        })
        .collect()
}

/// What the fragments want together.
pub(crate) fn merge(fragments: &[String]) -> BTreeMap<&str, &str> {
    fragments.iter().flat_map(|text| parse(text)).collect()
}

/// What `config` lacks of what the fragments want, one line for each option.
pub(crate) fn unmet(fragments: &[String], config: &str) -> Vec<String> {
    let config = parse(config);
    merge(fragments)
        .into_iter()
        .filter_map(|(name, want)| {
            let is = config.get(name).copied().unwrap_or("n");
            (is != want).then(|| format!("CONFIG_{name} should be {want} and is {is}"))
        })
        .collect()
}

/// The options that `config` has not at all of those that the fragments want, as a module or built
/// in.
pub(crate) fn lacking(fragments: &[String], config: &str) -> Vec<String> {
    let config = parse(config);
    let wanted = merge(fragments).into_iter();
    let lacking = wanted.filter(|(name, want)| {
        matches!(*want, "y" | "m") && config.get(name).is_none_or(|is| *is == "n")
    });
    lacking.map(|(name, _)| format!("CONFIG_{name}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unmet_of(fragments: &[&str], config: &str) -> Vec<String> {
        let fragments: Vec<_> = fragments.iter().map(|text| (*text).to_owned()).collect();
        unmet(&fragments, config)
    }

    #[test]
    fn all_that_is_wanted_is_there() {
        let config =
            "CONFIG_SMP=y\nCONFIG_NR_CPUS=8\nCONFIG_NAME=\"a=b\"\n# CONFIG_KVM is not set\n";
        let fragments = [
            "# two\nCONFIG_SMP=y\nCONFIG_NR_CPUS=8\n",
            "CONFIG_KVM=n\nCONFIG_NAME=\"a=b\"",
        ];
        assert!(unmet_of(&fragments, config).is_empty());
    }

    #[test]
    fn each_difference_is_a_line() {
        let config = "CONFIG_VIRTIO_PCI=y\nCONFIG_BPF=y\n# CONFIG_RUST is not set\n";
        let wanted = "CONFIG_VIRTIO_PCI=m\nCONFIG_BPF=n\nCONFIG_RUST=y\nCONFIG_GONE=y\n";
        assert_eq!(
            unmet_of(&[wanted], config),
            [
                "CONFIG_BPF should be n and is y",
                "CONFIG_GONE should be y and is n",
                "CONFIG_RUST should be y and is n",
                "CONFIG_VIRTIO_PCI should be m and is y",
            ]
        );
    }

    #[test]
    fn a_module_is_as_good_as_built_in() {
        let wanted = ["CONFIG_A=y\nCONFIG_B=m\nCONFIG_C=y\nCONFIG_D=y\nCONFIG_E=n\nCONFIG_N=8\n"];
        let wanted: Vec<_> = wanted.map(str::to_owned).into();
        let config = "CONFIG_A=m\nCONFIG_B=y\n# CONFIG_C is not set\nCONFIG_E=y\nCONFIG_N=64\n";
        assert_eq!(lacking(&wanted, config), ["CONFIG_C", "CONFIG_D"]);
    }

    #[test]
    fn later_fragments_win() {
        let fragments = ["CONFIG_KASAN=n\n", "CONFIG_KASAN=y\n"];
        assert!(unmet_of(&fragments, "CONFIG_KASAN=y\n").is_empty());
    }
}
