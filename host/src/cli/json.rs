//! Plans and refusals as JSON, for machines. Keys and values are stable; new ones may be added.

use nshost_plan::{Interface, Plan, Step, show};
use nshost_policy::{Refusal, RefusalKind};
use serde_json::{Value, json};

/// A step: its kind, its data, and the words that people read.
pub fn step(plan: &Plan, item: &Step) -> Value {
    let interface = |interface: &Interface| json!({ "side": interface.side().name(), "name": plan.interface_name(*interface) });
    let (kind, data) = match item {
        Step::Namespace(kind) => ("namespace", json!({ "kind": kind.name() })),
        Step::Hostname(name) => ("hostname", json!({ "name": name.as_str() })),
        Step::DomainName(name) => ("domain-name", json!({ "name": name.as_str() })),
        Step::PrivatePropagation => ("private-propagation", json!({})),
        Step::Proc => ("proc", json!({})),
        Step::ResolvConf(conf) => ("resolv-conf", json!({ "nameservers": conf.nameservers() })),
        Step::Command(command) => {
            let words: Vec<&str> = command.arguments().iter().map(|word| word.as_str()).collect();
            ("command", json!({ "argv": words }))
        }
        Step::Variable(variable) => {
            ("variable", json!({ "name": variable.name(), "value": variable.value() }))
        }
        Step::WorkingDirectory(path) => ("working-directory", json!({ "path": path.as_str() })),
        Step::Veth(veth) => (
            "link",
            json!({ "kind": "veth", "host-name": veth.host.as_str(), "container-name": veth.container.as_str() }),
        ),
        Step::Address(address) => (
            "address",
            json!({ "interface": interface(&address.interface), "address": address.cidr.to_string() }),
        ),
        Step::Up(end) => ("up", json!({ "interface": interface(end) })),
        Step::Route(route) => (
            "route",
            json!({ "interface": interface(&route.interface), "to": route.to.to_string(), "via": route.via }),
        ),
        Step::Masquerade(masquerade) => {
            ("masquerade", json!({ "source": masquerade.source, "out": masquerade.out.as_str() }))
        }
        Step::Forward(forward) => (
            "forward",
            json!({
                "protocol": forward.protocol.name(),
                "host-address": forward.host_address,
                "ports": forward.ports.to_string(),
                "to": forward.to,
                "to-port": forward.to_port,
            }),
        ),
    };
    json!({ "step": kind, "data": data, "text": show::step(plan, item) })
}

/// A refusal; its step is null where a namespace would be shared that no step asks for.
pub fn refusal(refusal: &Refusal) -> Value {
    let kind = match refusal.kind {
        RefusalKind::Denied => "denied",
        RefusalKind::Forbidden => "forbidden",
        RefusalKind::Conflict => "conflict",
        RefusalKind::Unsupported => "unsupported",
    };
    json!({
        "step": refusal.step.map(|step| step + 1),
        "kind": kind,
        "capability": refusal.capability,
        "subject": refusal.subject,
        "hint": refusal.hint,
    })
}
