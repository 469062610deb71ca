//! Every range at both edges, and what each value of `--allow-endpoint` opens.

use barndoor_crds::place::{Addressing, Endpoint, PathPrefix};

use super::*;

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn allow(values: &[&str]) -> AllowedEndpoints {
    values.iter().map(|value| value.parse::<AllowedEndpoint>().expect("a value")).collect()
}

fn reach_of(endpoint: &str, auth: &Auth) -> Reach {
    let place = Place {
        endpoint: Endpoint::parse(endpoint, Scheme::Https).expect("endpoint"),
        region: "us-east-1".parse().expect("region"),
        bucket: "acme-audit".parse().expect("bucket"),
        prefix: PathPrefix::default(),
        addressing: Addressing::Auto,
    };
    Reach::of(&place, auth)
}

#[test]
fn every_special_range_is_recognised_at_both_edges_and_not_beyond() {
    for (first, last, class) in [
        ("0.0.0.0", "0.255.255.255", Class::Unspecified),
        ("10.0.0.0", "10.255.255.255", Class::Private),
        ("100.64.0.0", "100.127.255.255", Class::CarrierNat),
        ("127.0.0.0", "127.255.255.255", Class::Loopback),
        ("169.254.0.0", "169.254.255.255", Class::LinkLocal),
        ("172.16.0.0", "172.31.255.255", Class::Private),
        ("192.0.0.0", "192.0.0.255", Class::Reserved),
        ("192.0.2.0", "192.0.2.255", Class::Reserved),
        ("192.88.99.0", "192.88.99.255", Class::SixToFour),
        ("192.168.0.0", "192.168.255.255", Class::Private),
        ("198.18.0.0", "198.19.255.255", Class::Reserved),
        ("198.51.100.0", "198.51.100.255", Class::Reserved),
        ("203.0.113.0", "203.0.113.255", Class::Reserved),
        ("224.0.0.0", "239.255.255.255", Class::Multicast),
        ("240.0.0.0", "255.255.255.255", Class::Reserved),
        ("169.254.169.254", "169.254.169.254", Class::Metadata),
        ("169.254.170.2", "169.254.170.2", Class::Metadata),
        ("168.63.129.16", "168.63.129.16", Class::Metadata),
        ("100.100.100.200", "100.100.100.200", Class::Metadata),
        ("192.0.0.192", "192.0.0.192", Class::Metadata),
        ("::", "::", Class::Unspecified),
        ("::1", "::1", Class::Loopback),
        ("::2", "::ffff:ffff", Class::Ipv4Mapped),
        ("::ffff:0.0.0.0", "::ffff:255.255.255.255", Class::Ipv4Mapped),
        ("64:ff9b::", "64:ff9b::ffff:ffff", Class::Nat64),
        ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", Class::Nat64),
        ("100::", "100::ffff:ffff:ffff:ffff", Class::Reserved),
        ("2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", Class::Teredo),
        ("2001:1::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", Class::Reserved),
        ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Class::Reserved),
        ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Class::SixToFour),
        ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", Class::Reserved),
        ("4000::", "fbff:ffff::", Class::Reserved),
        ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Class::UniqueLocal),
        ("fd00:ec2::254", "fd00:ec2::254", Class::Metadata),
        ("fd20:ce::254", "fd20:ce::254", Class::Metadata),
        ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Class::LinkLocal),
        ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Class::UniqueLocal),
        ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Class::Multicast),
    ] {
        assert_eq!(Class::of(address(first)), class, "{first}");
        assert_eq!(Class::of(address(last)), class, "{last}");
    }
    for public in [
        "1.0.0.0",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "52.216.1.1",
        "2001:200::",
        "2600:1f18::1",
        "2a00:1450::1",
        "3fff:1000::",
    ] {
        assert_eq!(Class::of(address(public)), Class::Public, "{public}");
    }
}

#[test]
fn nothing_but_public_addresses_is_reached_unless_the_operator_says_so() {
    let nobody = AllowedEndpoints::default();
    for special in V4_CLASSES
        .iter()
        .map(|(net, _)| IpAddr::V4(net.addr()))
        .chain(V6_CLASSES.iter().filter(|(_, c)| *c != Class::Public).map(|(net, _)| IpAddr::V6(net.addr())))
    {
        assert!(judge(&nobody, Reach::Public, special).is_err(), "{special}");
        let cidr = AllowedEndpoints(vec![AllowedEndpoint::Cidr(IpNet::from(special))]);
        assert_eq!(judge(&cidr, Reach::Public, special), Ok(()), "{special}");
    }
    assert_eq!(judge(&nobody, Reach::Public, address("52.216.1.1")), Ok(()));
}

#[test]
fn loopback_and_private_allow_what_they_name_and_no_more() {
    let loopback = allow(&["loopback"]);
    for good in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
        assert!(loopback.cover(address(good)), "{good}");
    }
    for bad in
        ["0.0.0.0", "::", "10.0.0.1", "169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "::127.0.0.1"]
    {
        assert!(!loopback.cover(address(bad)), "{bad}");
    }
    let private = allow(&["private"]);
    for good in ["10.0.0.1", "172.20.0.1", "192.168.1.1", "fd12::1", "::ffff:10.0.0.1"] {
        assert!(private.cover(address(good)), "{good}");
    }
    for bad in ["127.0.0.1", "100.64.0.1", "169.254.169.254", "fd00:ec2::254", "fe80::1", "64:ff9b::a00:1"] {
        assert!(!private.cover(address(bad)), "{bad}");
    }
}

#[test]
fn plain_http_and_roles_outside_aws_reach_only_what_the_operator_allowed() {
    let role = Auth::IamRole("arn:aws:iam::123456789012:role/x".parse().expect("role"));
    let plain = Reach::OnlyAllowed(Cause::PlainHttp);
    assert_eq!(reach_of("http://s3.us-east-1.amazonaws.com", &Auth::AccessKeys), plain);
    assert_eq!(reach_of("http://s3.us-east-1.amazonaws.com", &role), plain);
    assert_eq!(reach_of("https://minio.example", &Auth::AccessKeys), Reach::Public);
    assert_eq!(reach_of("https://s3.us-east-1.amazonaws.com", &role), Reach::Public);
    let outside = Reach::OnlyAllowed(Cause::RoleOutsideAws);
    assert_eq!(reach_of("https://minio.example", &role), outside);
    assert_eq!(reach_of("https://amazonaws.com.evil.example", &role), outside);

    let public = address("52.216.1.1");
    assert_eq!(judge(&AllowedEndpoints::default(), plain, public), Err(Forbidden::PlainHttp));
    assert_eq!(judge(&AllowedEndpoints::default(), outside, public), Err(Forbidden::RoleOutsideAws));
    assert_eq!(judge(&allow(&["52.216.0.0/16"]), plain, public), Ok(()));
    assert_eq!(judge(&allow(&["loopback"]), outside, address("127.0.0.1")), Ok(()));
    assert_eq!(judge(&allow(&["loopback"]), plain, public), Err(Forbidden::PlainHttp));
}

#[test]
fn a_value_is_a_word_an_address_or_a_cidr() {
    assert_eq!("10.1.2.3/8".parse::<AllowedEndpoint>().map(|v| v.to_string()).as_deref(), Ok("10.0.0.0/8"));
    assert_eq!("::1".parse::<AllowedEndpoint>().map(|v| v.to_string()).as_deref(), Ok("::1/128"));
    for bad in ["", "Loopback", "localhost", "10.0.0.0/33", "all"] {
        assert!(bad.parse::<AllowedEndpoint>().is_err(), "{bad}");
    }
}
