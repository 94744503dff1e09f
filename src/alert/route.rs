//! The tree of routes, as Alertmanager's users know it: which receivers an incident goes to, grouped how, told how often.

use std::time::Duration;

use super::matcher::{Labels, Matcher, all_match};

/// One node of the tree, with what it inherits from above filled in.
#[derive(Debug, Clone)]
pub struct Route {
    /// Its place: `0` is the root, `0.1` its second child.
    pub id: String,
    pub receiver: String,
    pub matchers: Vec<Matcher>,
    pub go_on: bool,
    /// Incidents that agree on these labels are one alert; `incident` alone keeps each for itself.
    pub group_by: Vec<String>,
    /// Before an alert is told first, and between its updates.
    pub group_wait: Duration,
    pub group_interval: Duration,
    /// Told again when nothing changed for so long.
    pub repeat_interval: Duration,
    /// Names of time intervals.
    pub mute_times: Vec<String>,
    pub active_times: Vec<String>,
    pub routes: Vec<Route>,
}

impl Route {
    /// The nodes an incident with these labels goes to: the first child that matches, and those after it while `continue`
    /// says so; the node itself where no child does.
    pub fn find<'r>(&'r self, labels: &Labels) -> Vec<&'r Self> {
        if !all_match(&self.matchers, labels) {
            return Vec::new();
        }
        let mut found = Vec::new();
        for child in &self.routes {
            let nodes = child.find(labels);
            let stop = !nodes.is_empty() && !child.go_on;
            found.extend(nodes);
            if stop {
                break;
            }
        }
        if found.is_empty() {
            found.push(self);
        }
        found
    }

    /// The node of this id.
    pub fn get(&self, id: &str) -> Option<&Self> {
        if self.id == id { Some(self) } else { self.routes.iter().find_map(|route| route.get(id)) }
    }

    /// What groups an incident with others on this route.
    pub fn group(&self, labels: &Labels) -> String {
        let all = self.group_by.iter().any(|name| name == "...");
        let values: Vec<String> = if all {
            let names = labels.iter().filter(|(name, _)| *name != "incident");
            names.map(|(name, value)| format!("{name}={value}")).collect()
        } else {
            let value = |name: &String| labels.get(name).map_or("", String::as_str);
            self.group_by.iter().map(|name| format!("{name}={}", value(name))).collect()
        };
        format!("{} {}", self.id, values.join(","))
    }

    pub fn each(&self, visit: &mut impl FnMut(&Self)) {
        visit(self);
        for route in &self.routes {
            route.each(visit);
        }
    }
}
