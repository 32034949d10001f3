//! systemd on a real bus, as an agent without root's own socket reaches it.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use bulla::host::command::Scrubber;
use bulla::host::config::ManagerKind;
use bulla::host::desired::Unit;
use bulla::host::units::{Active, Asked, Manager, Settings, plan};

use super::machine::Machine;

const DAEMON: &str =
    "[Service]\nExecStart=/usr/bin/dbus-daemon --config-file=/run/bus.conf --nofork --nopidfile --address=systemd:\n";
const SOCKET: &str = "[Socket]\nListenStream=/run/dbus/system_bus_socket\n";
const POLICY: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=/run/dbus/unused</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow send_type="method_call"/>
<allow receive_type="method_call"/></policy></busconfig>"#;

#[tokio::test]
async fn systemd_is_reached_over_the_system_bus() {
    let units =
        [("dbus.service", DAEMON), ("dbus.socket", SOCKET), ("a.service", "[Service]\nExecStart=/bin/sleep 99\n")];
    let machine = Machine::start(&units).await;
    fs::write(machine.run().join("bus.conf"), POLICY).unwrap();
    let asked = |name: &str| [Unit { name: name.to_owned(), enable: None, start: Some(true) }];
    let direct = machine.manager().await;
    for name in ["dbus.socket", "dbus.service"] {
        let units = asked(name);
        let plan = plan(&Asked { services: &[], units: &units, changes: &[], credentials: &[] });
        let done = direct.carry_out(&plan, false, &Scrubber::default()).await;
        assert!(done.failures.is_empty(), "{:?}\n{}", done.failures, machine.said());
    }
    // Only the bus is to be found here.
    let sockets = machine.run().join("only-the-bus");
    fs::create_dir(&sockets).unwrap();
    symlink(machine.run().join("dbus"), sockets.join("dbus")).unwrap();
    let settings = Settings { sockets: Some(sockets), ..Settings::new(ManagerKind::Systemd) };
    let until = Instant::now() + Duration::from_secs(30);
    let manager = loop {
        let manager = Manager::connect(&settings).await;
        if manager.way() == "systemd over D-Bus" {
            break manager;
        }
        assert!(Instant::now() < until, "no systemd on the bus:\n{}", machine.said());
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let units = asked("a.service");
    let plan = plan(&Asked { services: &[], units: &units, changes: &[], credentials: &[] });
    let done = manager.carry_out(&plan, false, &Scrubber::default()).await;
    assert!(done.failures.is_empty(), "{:?}", done.failures);
    assert_eq!(done.units(), ["a.service"]);
    assert_eq!(manager.state("a.service", None).await.unwrap().active, Active::Active);
}
