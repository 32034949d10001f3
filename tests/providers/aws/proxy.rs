//! The proxy itself: what is counted by it was asked for.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::support::moto::Moto;
use crate::support::proxy::Fault;

#[test]
fn the_proxy_counts_and_makes_faults() {
    let proxy = Moto::shared().proxy();
    proxy.fault("ListSecrets", Some(1), Fault::throttling());
    let ask = || {
        let mut stream = TcpStream::connect(proxy.endpoint().trim_start_matches("http://")).unwrap();
        let head = "POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: secretsmanager.ListSecrets\r\nContent-Length: 2\r\n";
        let authorization =
            "Authorization: AWS4-HMAC-SHA256 Credential=A/20260101/eu-west-1/secretsmanager/aws4_request\r\n";
        write!(stream, "{head}{authorization}\r\n{{}}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(ask().contains("Rate exceeded"));
    assert!(ask().contains("SecretList"), "passed on");
    assert_eq!(proxy.count("ListSecrets"), 2);
}
