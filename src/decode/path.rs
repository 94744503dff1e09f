//! What the path of a container's log tells about the container.

use serde_json::{Map, Value as Json, json};

/// The parts of `/var/log/containers/<pod>_<namespace>_<container>-<id>.log` or
/// `/var/log/pods/<namespace>_<pod>_<uid>/<container>/<n>.log`, under any root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContainerPath<'p> {
    pub namespace: &'p str,
    pub pod: &'p str,
    pub container: &'p str,
    /// The container's id, in the first form.
    pub id: Option<&'p str>,
    /// The pod's uid, in the second form.
    pub uid: Option<&'p str>,
}

impl<'p> ContainerPath<'p> {
    pub fn parse(path: &'p str) -> Option<Self> {
        let mut parts = path.rsplit('/');
        let (file, parent, above, top) = (parts.next()?, parts.next()?, parts.next(), parts.next());
        // Names of Kubernetes objects hold no underscore, so it separates.
        if parent == "containers" {
            let mut names = file.strip_suffix(".log")?.split('_');
            let (pod, namespace, rest) = (names.next()?, names.next()?, names.next()?);
            let (container, id) = rest.rsplit_once('-')?;
            let whole = names.next().is_none() && id.bytes().all(|b| b.is_ascii_alphanumeric());
            let path = Self { namespace, pod, container, id: Some(id), uid: None };
            return (whole && !id.is_empty()).then_some(path).filter(Self::has_names);
        }
        if top == Some("pods") && file.contains(".log") {
            let mut names = above?.split('_');
            let (namespace, pod, uid) = (names.next()?, names.next()?, names.next()?);
            let path = Self { namespace, pod, container: parent, id: None, uid: Some(uid) };
            return (names.next().is_none() && !uid.is_empty()).then_some(path).filter(Self::has_names);
        }
        None
    }

    fn has_names(&self) -> bool {
        !self.namespace.is_empty() && !self.pod.is_empty() && !self.container.is_empty()
    }

    /// The `kubernetes` object that Filebeat would have sent had it known the pod; of it, what the path tells.
    pub fn to_kubernetes(self) -> Json {
        let mut pod = json!({ "name": self.pod });
        if let Some(uid) = self.uid {
            pod["uid"] = json!(uid);
        }
        json!({ "namespace": self.namespace, "pod": pod, "container": { "name": self.container } })
    }
}

/// The value at a dotted path of nested objects.
pub fn lookup<'j>(object: &'j Map<String, Json>, path: &str) -> Option<&'j Json> {
    match path.split_once('.') {
        None => object.get(path),
        Some((head, rest)) => lookup(object.get(head)?.as_object()?, rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_tell_the_container() {
        let check = |path: &str, expected: Option<[&str; 5]>| {
            let found = ContainerPath::parse(path)
                .map(|p| [p.namespace, p.pod, p.container, p.id.unwrap_or("-"), p.uid.unwrap_or("-")]);
            assert_eq!(found, expected, "{path}");
        };
        check(
            "/var/log/containers/kube-apiserver-n1_kube-system_kube-apiserver-0af3.log",
            Some(["kube-system", "kube-apiserver-n1", "kube-apiserver", "0af3", "-"]),
        );
        check("/var/log/pods/ns_pod-1_12-34/app/0.log", Some(["ns", "pod-1", "app", "-", "12-34"]));
        check("/var/log/pods/ns_pod-1_12-34/app/0.log.20260301-1", Some(["ns", "pod-1", "app", "-", "12-34"]));
        check("/host/var/log/containers/p_n_c-d-ff.log", Some(["n", "p", "c-d", "ff", "-"]));
        check("/var/log/containers/p_n_c-ff.txt", None);
        check("/var/log/containers/p_n_c.log", None);
        check("/var/log/containers/p_n_c_x-ff.log", None);
        check("/var/log/containers/_n_c-ff.log", None);
        check("/var/log/containers/", None);
        check("/var/log/pods/ns_pod/app/0.log", None);
        check("/var/log/syslog", None);
        check("", None);
    }
}
