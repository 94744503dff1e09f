"""Compares two sets of rendered manifests, or gives those of one that Kubernetes itself defines."""

import re
import sys

import yaml

OWN_TO_HELM = ("app.kubernetes.io/managed-by", "helm.sh/chart", "checksum/config")


def objects(path):
    text = open(path, encoding="utf-8").read()
    # kustomize names a generated ConfigMap for its content.
    text = re.sub(r"loghound-config-[a-z0-9]{10}\b", "loghound-config", text)
    found = {}
    for item in yaml.safe_load_all(text):
        if item and item["kind"] not in ("Namespace",):
            for meta in walk(item):
                for name in OWN_TO_HELM:
                    meta.pop(name, None)
            if item["kind"] == "ConfigMap":
                item["data"] = {name: yaml.safe_load(value) for name, value in item["data"].items()}
            found[item["kind"], item["metadata"]["name"]] = item
    return found


def walk(value):
    if isinstance(value, dict):
        yield value
        for member in value.values():
            yield from walk(member)
    elif isinstance(value, list):
        for member in value:
            yield from walk(member)


if sys.argv[1] == "--only-builtin":
    ours = [d for d in yaml.safe_load_all(open(sys.argv[2], encoding="utf-8")) if d]
    foreign = ("monitoring.coreos.com", "cert-manager.io")
    print(yaml.dump_all([d for d in ours if not d["apiVersion"].startswith(foreign)]))
    sys.exit()

left, right = (objects(path) for path in sys.argv[1:3])
differ = [key for key in sorted(left.keys() | right.keys()) if left.get(key) != right.get(key)]
for kind, name in differ:
    print(f"{kind}/{name} differs:\n  {left.get((kind, name))}\n  {right.get((kind, name))}", file=sys.stderr)
sys.exit(bool(differ))
