//! The words of `/ws/admin`: what an administrator may say, and how the pulses of the nodes become frames.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};

use super::times::Time;
use crate::actors::live::Pulses;

/// What can be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// Actors by kind and state, and the busiest, once a second.
    Vitals,
    /// What happens to actors.
    Events,
    /// Alerts, when there is news.
    Alerts,
    /// The figures of `/metrics`, once a second.
    Metrics,
}

/// What an administrator says.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum AdminFrame {
    /// Tell me of these.
    Subscribe {
        /// Which.
        topics: BTreeSet<Topic>,
    },
    /// No more.
    Unsubscribe {
        /// Which.
        topics: BTreeSet<Topic>,
    },
    /// Are you there?
    Ping,
    /// A command to actors.
    Command(SocketCommand),
}

/// A command as the HTTP endpoint takes it.
#[derive(Debug, Deserialize)]
pub struct SocketCommand {
    /// Comes back with the answer.
    pub id: Value,
    /// The kind, or `*`.
    pub kind: String,
    /// The key, or `*`.
    pub key: String,
    /// E.g. `pause`.
    pub command: String,
    /// The body of the HTTP request.
    #[serde(default)]
    pub params: Option<Value>,
    /// As the header `Idempotency-Key`.
    #[serde(default)]
    pub idempotency_key: Option<String>,
}

/// Reads a frame; `None` if it is none.
#[must_use]
pub fn read(text: &str) -> Option<AdminFrame> {
    serde_json::from_str(text).ok()
}

/// The names of the topics that are watched now.
#[must_use]
pub fn subscribed(topics: &BTreeSet<Topic>) -> String {
    let names: Vec<String> = topics.iter().map(|topic| format!("{topic:?}").to_lowercase()).collect();
    json!({"type": "subscribed", "topics": names}).to_string()
}

/// What one socket was told, so that events come once and alerts only when they change.
#[derive(Debug, Default)]
pub struct Told {
    /// The life of each node and its last event.
    events: BTreeMap<String, (String, u64)>,
    alerts: Option<Value>,
}

impl Told {
    /// The topic is forgotten: a new subscription begins anew.
    pub fn forget(&mut self, topics: &BTreeSet<Topic>) {
        if topics.contains(&Topic::Alerts) {
            self.alerts = None;
        }
        if topics.contains(&Topic::Events) {
            self.events.clear();
        }
    }

    /// The frames that these pulses make for these topics.
    pub fn frames(&mut self, pulses: &Pulses, topics: &BTreeSet<Topic>) -> Vec<String> {
        let frames = topics.iter().filter_map(|topic| match topic {
            Topic::Vitals => Some(vitals(pulses)),
            Topic::Metrics => Some(metrics(pulses)),
            Topic::Alerts => self.alerts(pulses),
            Topic::Events => self.events(pulses),
        });
        frames.map(|frame| frame.to_string()).collect()
    }

    fn alerts(&mut self, pulses: &Pulses) -> Option<Value> {
        let (mut open, mut ended) = (Vec::new(), Vec::new());
        for (node, pulse) in answered(pulses) {
            for (name, list) in [("open", &mut open), ("ended", &mut ended)] {
                list.extend(pulse["alerts"][name].as_array().into_iter().flatten().map(|alert| with_node(alert, node)));
            }
        }
        let alerts = json!({"open": open, "ended": ended});
        if self.alerts.as_ref() == Some(&alerts) {
            return None;
        }
        let frame = framed("alerts", pulses, alerts.clone());
        self.alerts = Some(alerts);
        Some(frame)
    }

    fn events(&mut self, pulses: &Pulses) -> Option<Value> {
        let (mut events, mut missed) = (Vec::new(), 0);
        for (node, pulse) in answered(pulses) {
            let life = pulse["life"].as_str().unwrap_or_default();
            let known = self.events.get(node).filter(|(known, _)| known == life).map(|(_, seq)| *seq);
            let seq = |event: &Value| event["seq"].as_u64().unwrap_or(0);
            let kept = pulse["events"].as_array().map_or(&[][..], Vec::as_slice);
            let new: Vec<&Value> = kept.iter().filter(|event| known.is_none_or(|known| seq(event) > known)).collect();
            if let (Some(known), Some(first)) = (known, new.first()) {
                missed += seq(first).saturating_sub(known + 1);
            }
            let last = kept.last().map_or(0, seq);
            self.events.insert(node.to_owned(), (life.to_owned(), last));
            events.extend(new.into_iter().map(|event| with_node(event, node)));
        }
        if events.is_empty() {
            return None;
        }
        Some(framed("events", pulses, json!({"events": events, "missed": missed})))
    }
}

fn answered(pulses: &Pulses) -> impl Iterator<Item = (&str, &Value)> {
    pulses.nodes.iter().filter_map(|(node, pulse)| Some((node.as_str(), pulse.as_ref()?)))
}

fn with_node(value: &Value, node: &str) -> Value {
    let mut value = value.clone();
    value["node"] = json!(node);
    value
}

fn framed(kind: &str, pulses: &Pulses, mut body: Value) -> Value {
    let silent: Vec<&str> =
        pulses.nodes.iter().filter(|(_, pulse)| pulse.is_none()).map(|(node, _)| node.as_str()).collect();
    body["type"] = json!(kind);
    body["at"] = json!(Time(pulses.at_ms).with_millis());
    body["no_answer"] = json!(silent);
    body
}

fn vitals(pulses: &Pulses) -> Value {
    let nodes = answered(pulses).map(|(node, pulse)| {
        json!({
            "node": node, "drained": pulse["drained"], "kinds": pulse["kinds"], "actors": pulse["actors"],
            "dead_letters": pulse["dead_letters"],
        })
    });
    framed("vitals", pulses, json!({"nodes": nodes.collect::<Vec<_>>()}))
}

fn metrics(pulses: &Pulses) -> Value {
    let nodes = answered(pulses)
        .map(|(node, pulse)| json!({"node": node, "metrics": pulse["metrics"], "latency": pulse["latency"]}));
    framed("metrics", pulses, json!({"nodes": nodes.collect::<Vec<_>>()}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pulses(life: &str, seqs: &[u64], alert: &str) -> Pulses {
        let events: Vec<Value> = seqs.iter().map(|seq| json!({"seq": seq, "what": "busy"})).collect();
        let alerts = json!({"open": [{"kind": alert}], "ended": []});
        let pulse = json!({"life": life, "events": events, "alerts": alerts, "kinds": {}, "actors": []});
        Pulses { at_ms: 0, nodes: vec![("a".to_owned(), Some(pulse)), ("b".to_owned(), None)] }
    }

    fn frames(told: &mut Told, pulses: &Pulses, topic: Topic) -> Vec<Value> {
        let frames = told.frames(pulses, &BTreeSet::from([topic]));
        frames.iter().map(|frame| serde_json::from_str(frame).unwrap()).collect()
    }

    #[test]
    fn an_event_is_told_once_and_what_was_missed_is_counted() {
        let mut told = Told::default();
        let seqs = |frames: &[Value]| -> Vec<u64> {
            frames.iter().flat_map(|f| f["events"].as_array().unwrap()).map(|e| e["seq"].as_u64().unwrap()).collect()
        };
        assert_eq!(seqs(&frames(&mut told, &pulses("x", &[1, 2], ""), Topic::Events)), [1, 2]);
        assert!(frames(&mut told, &pulses("x", &[1, 2], ""), Topic::Events).is_empty());
        let later = frames(&mut told, &pulses("x", &[5, 6], ""), Topic::Events);
        assert_eq!((seqs(&later), &later[0]["missed"]), (vec![5, 6], &json!(2)));
        let reborn = frames(&mut told, &pulses("y", &[1], ""), Topic::Events);
        assert_eq!((seqs(&reborn), &reborn[0]["missed"]), (vec![1], &json!(0)));
    }

    #[test]
    fn alerts_are_told_when_they_change_and_silent_nodes_are_named() {
        let mut told = Told::default();
        let first = frames(&mut told, &pulses("x", &[], "drift"), Topic::Alerts);
        assert_eq!((first[0]["open"][0]["node"].as_str(), &first[0]["no_answer"]), (Some("a"), &json!(["b"])));
        assert!(frames(&mut told, &pulses("x", &[], "drift"), Topic::Alerts).is_empty());
        assert_eq!(frames(&mut told, &pulses("x", &[], "low_stock"), Topic::Alerts).len(), 1);
        told.forget(&BTreeSet::from([Topic::Alerts]));
        assert_eq!(frames(&mut told, &pulses("x", &[], "low_stock"), Topic::Alerts).len(), 1);
    }

    #[test]
    fn frames_are_read_strictly() {
        for good in [
            r#"{"type":"ping"}"#,
            r#"{"type":"subscribe","topics":["vitals","events","alerts","metrics"]}"#,
            r#"{"type":"unsubscribe","topics":["vitals"]}"#,
            r#"{"type":"command","id":1,"kind":"inventory","key":"5","command":"pause","params":{"node":"a"}}"#,
        ] {
            assert!(read(good).is_some(), "{good}");
        }
        for bad in ["", "{", r#"{"type":"subscribe","topics":["x"]}"#, r#"{"type":"command","kind":"a"}"#, "[]"] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }
}
