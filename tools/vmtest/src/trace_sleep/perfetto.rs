// SPDX-License-Identifier: GPL-2.0

//! Perfetto's form of a trace: tracks with slices and instants.
//!
//! These messages are the part of Perfetto's published `trace_packet.proto` that is written; the
//! numbers of the fields are its.

use prost::Message;

use super::time::Time;

#[derive(Clone, PartialEq, Message)]
struct Trace {
    #[prost(message, repeated, tag = "1")]
    packet: Vec<TracePacket>,
}

#[derive(Clone, PartialEq, Message)]
struct TracePacket {
    #[prost(uint64, optional, tag = "8")]
    timestamp: Option<u64>,
    #[prost(uint32, optional, tag = "10")]
    trusted_packet_sequence_id: Option<u32>,
    #[prost(message, optional, tag = "11")]
    track_event: Option<TrackEvent>,
    #[prost(message, optional, tag = "60")]
    track_descriptor: Option<TrackDescriptor>,
}

#[derive(Clone, PartialEq, Message)]
struct TrackDescriptor {
    #[prost(uint64, optional, tag = "1")]
    uuid: Option<u64>,
    #[prost(string, optional, tag = "2")]
    name: Option<String>,
    #[prost(uint64, optional, tag = "5")]
    parent_uuid: Option<u64>,
    #[prost(int32, optional, tag = "12")]
    sibling_order_rank: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct TrackEvent {
    #[prost(message, repeated, tag = "4")]
    debug_annotations: Vec<DebugAnnotation>,
    #[prost(int32, optional, tag = "9")]
    kind: Option<i32>,
    #[prost(uint64, optional, tag = "11")]
    track_uuid: Option<u64>,
    #[prost(string, repeated, tag = "22")]
    categories: Vec<String>,
    #[prost(string, optional, tag = "23")]
    name: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct DebugAnnotation {
    #[prost(string, optional, tag = "6")]
    string_value: Option<String>,
    #[prost(string, optional, tag = "10")]
    name: Option<String>,
}

/// The kinds of events, as Perfetto numbers them.
#[derive(Clone, Copy)]
enum Kind {
    Begin = 1,
    End = 2,
    Instant = 3,
}

/// A track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Track(u64);

/// A trace that is being written.
#[derive(Default)]
pub(super) struct Writer {
    tracks: Vec<TracePacket>,
    events: Vec<(Time, TrackEvent)>,
}

impl Writer {
    /// Adds a track, below another or at the top, behind those before.
    pub(super) fn track(&mut self, name: &str, parent: Option<Track>) -> Track {
        let uuid = self.tracks.len() as u64 + 1;
        self.tracks.push(TracePacket {
            track_descriptor: Some(TrackDescriptor {
                uuid: Some(uuid),
                name: Some(name.to_owned()),
                parent_uuid: parent.map(|Track(uuid)| uuid),
                sibling_order_rank: i32::try_from(uuid).ok(),
            }),
            ..TracePacket::default()
        });
        Track(uuid)
    }

    fn event(&mut self, track: Track, time: Time, kind: Kind, name: Option<&str>) {
        let event = TrackEvent {
            kind: Some(kind as i32),
            track_uuid: Some(track.0),
            name: name.map(str::to_owned),
            ..TrackEvent::default()
        };
        self.events.push((time, event));
    }

    /// A slice begins.
    pub(super) fn begin(&mut self, track: Track, time: Time, name: &str) {
        self.event(track, time, Kind::Begin, Some(name));
    }

    /// The slice that began last ends.
    pub(super) fn end(&mut self, track: Track, time: Time) {
        self.event(track, time, Kind::End, None);
    }

    /// Something happens, with a text to be shown when it is chosen.
    pub(super) fn instant(&mut self, track: Track, time: Time, name: &str, text: &str) {
        self.event(track, time, Kind::Instant, Some(name));
        if let Some((_, event)) = self.events.last_mut() {
            event.debug_annotations.push(DebugAnnotation {
                string_value: Some(text.to_owned()),
                name: Some("text".to_owned()),
            });
        }
    }

    /// The bytes of the file; times count from the first event.
    pub(super) fn finish(mut self) -> Vec<u8> {
        // The order of events at the same time stays.
        self.events.sort_by_key(|(time, _)| *time);
        let first = self.events.first().map_or(0, |(time, _)| *time);
        let mut packet = self.tracks;
        packet.extend(self.events.into_iter().map(|(time, event)| TracePacket {
            timestamp: Some(time - first),
            trusted_packet_sequence_id: Some(1),
            track_event: Some(event),
            ..TracePacket::default()
        }));
        Trace { packet }.encode_to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_in_order_and_on_their_tracks() {
        let mut writer = Writer::default();
        let device = writer.track("blk", None);
        let status = writer.track("status", Some(device));
        writer.end(status, 70);
        writer.instant(device, 60, "breach", "text");
        writer.begin(status, 50, "DRIVER");
        let trace = Trace::decode(writer.finish().as_slice()).unwrap();
        let tracks: Vec<_> = trace
            .packet
            .iter()
            .filter_map(|p| p.track_descriptor.clone())
            .collect();
        assert_eq!(tracks[1].parent_uuid, tracks[0].uuid);
        let events = trace.packet.iter().filter_map(|packet| {
            let event = packet.track_event.as_ref()?;
            Some((packet.timestamp?, event.kind?, event.track_uuid?))
        });
        let events: Vec<_> = events.collect();
        assert_eq!(events, [(0, 1, 2), (10, 3, 1), (20, 2, 2)]);
    }
}
