//! Plans and refusals as JSON, for machines. Keys and values are stable; new ones may be added.

use nshost_plan::{Around, Inside, Interface, Link, Place, Plan, Step, show};
use nshost_policy::{Refusal, RefusalKind};
use serde_json::{Value, json};

/// A step: its kind, its data, and the words that people read.
pub fn step(plan: &Plan, item: &Step) -> Value {
    let (kind, data) = match item {
        Step::Inside(_, inside) => of_inside(inside),
        Step::Around(around) => of_around(plan, around),
    };
    json!({ "step": kind, "data": data, "text": show::step(plan, item) })
}

fn of_inside(inside: &Inside) -> (&'static str, Value) {
    match inside {
        Inside::Namespace(kind) => ("namespace", json!({ "kind": kind.name() })),
        Inside::Hostname(name) => ("hostname", json!({ "name": name.as_str() })),
        Inside::DomainName(name) => ("domain-name", json!({ "name": name.as_str() })),
        Inside::PrivatePropagation => ("private-propagation", json!({})),
        Inside::Proc => ("proc", json!({})),
        Inside::ResolvConf(conf) => ("resolv-conf", json!({ "nameservers": conf.nameservers() })),
        Inside::Command(command) => {
            let words: Vec<&str> = command.arguments().iter().map(|word| word.as_str()).collect();
            ("command", json!({ "argv": words }))
        }
        Inside::Variable(variable) => {
            ("variable", json!({ "name": variable.name(), "value": variable.value() }))
        }
        Inside::WorkingDirectory(path) => ("working-directory", json!({ "path": path.as_str() })),
    }
}

fn of_around(plan: &Plan, around: &Around) -> (&'static str, Value) {
    let interface = |interface: &Interface| {
        let side = plan.place(*interface).map(Place::name);
        json!({ "side": side, "name": plan.interface_name(*interface) })
    };
    match around {
        Around::Link(link) => ("link", of_link(link)),
        Around::Address(address) => (
            "address",
            json!({ "interface": interface(&address.interface), "address": address.cidr.to_string() }),
        ),
        Around::Up(end) => ("up", json!({ "interface": interface(end) })),
        Around::Route(route) => (
            "route",
            json!({ "interface": interface(&route.interface), "to": route.to.to_string(), "via": route.via }),
        ),
        Around::Masquerade(masquerade) => {
            ("masquerade", json!({ "source": masquerade.source, "out": masquerade.out.as_str() }))
        }
        Around::Forward(forward) => (
            "forward",
            json!({
                "protocol": forward.protocol.name(),
                "host-address": forward.host_address,
                "ports": forward.ports.to_string(),
                "to": forward.to,
                "to-port": forward.to_port,
            }),
        ),
    }
}

/// Its kind, and the name of each end by the place where it lives.
fn of_link(link: &Link) -> Value {
    let names = link.ends().iter().map(|end| (format!("{}-name", end.at), json!(end.name.as_str())));
    let kind = ("kind".to_string(), json!(link.kind()));
    Value::Object([kind].into_iter().chain(names).collect())
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
