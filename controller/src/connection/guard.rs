//! Which addresses a tenant's endpoint may lead to. Pure: addresses in, verdicts out.
//!
//! A tenant chooses the endpoint, and the controller stands inside the operator's network: without this, a
//! destination could read the machine's metadata service or poke at internal ports. It must not know DNS or HTTP.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use barndoor_crds::place::{Place, Scheme};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::destinations::Auth;

/// A value of `--allow-endpoint` that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is not an endpoint to allow: write loopback, private, an address or a CIDR such as 10.1.0.0/16"
)]
pub struct InvalidAllowedEndpoint(String);

/// One value of `--allow-endpoint`: addresses that destinations may lead to although they are not public.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AllowedEndpoint {
    /// This machine: 127.0.0.0/8 and ::1.
    Loopback,
    /// RFC 1918 and unique-local addresses, without any cloud's metadata service among them.
    Private,
    /// Exactly these.
    Cidr(IpNet),
}

impl FromStr for AllowedEndpoint {
    type Err = InvalidAllowedEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidAllowedEndpoint> {
        match text {
            "loopback" => Ok(Self::Loopback),
            "private" => Ok(Self::Private),
            other => other
                .parse::<IpNet>()
                .or_else(|_| other.parse::<IpAddr>().map(IpNet::from))
                .map(|net| Self::Cidr(net.trunc()))
                .map_err(|_| InvalidAllowedEndpoint(text.to_owned())),
        }
    }
}

impl fmt::Display for AllowedEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback => f.write_str("loopback"),
            Self::Private => f.write_str("private"),
            Self::Cidr(net) => net.fmt(f),
        }
    }
}

impl AllowedEndpoint {
    fn covers(self, address: IpAddr) -> bool {
        match self {
            Self::Loopback => Class::of(address) == Class::Loopback,
            Self::Private => matches!(Class::of(address), Class::Private | Class::UniqueLocal),
            Self::Cidr(net) => net.contains(&address),
        }
    }
}

/// Everything the operator allowed beside public addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedEndpoints(Vec<AllowedEndpoint>);

impl FromIterator<AllowedEndpoint> for AllowedEndpoints {
    fn from_iter<T: IntoIterator<Item = AllowedEndpoint>>(values: T) -> Self {
        Self(values.into_iter().collect())
    }
}

impl From<Vec<AllowedEndpoint>> for AllowedEndpoints {
    fn from(values: Vec<AllowedEndpoint>) -> Self {
        Self(values)
    }
}

impl AllowedEndpoints {
    /// Whether the operator named this address. An IPv4-mapped address leads to the IPv4 address inside it.
    pub fn cover(&self, address: IpAddr) -> bool {
        let inner = match address {
            IpAddr::V6(v6) => v6.to_ipv4_mapped().map(IpAddr::V4),
            IpAddr::V4(_) => None,
        };
        self.0
            .iter()
            .any(|allowed| allowed.covers(address) || inner.is_some_and(|inner| allowed.covers(inner)))
    }
}

/// How far a request may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Public addresses, and those the operator allowed.
    Public,
    /// Only those the operator allowed: plain http, or a role's credentials outside AWS.
    OnlyAllowed(Cause),
}

/// Why public addresses are out of reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Keys' signatures and audit events would travel in plain text.
    PlainHttp,
    /// IAM roles work with AWS only; their credentials would be handed to somebody else.
    RoleOutsideAws,
}

impl Reach {
    /// How far requests to this place may go.
    pub fn of(place: &Place, auth: &Auth) -> Self {
        match (place.endpoint.scheme(), auth) {
            (Scheme::Http, _) => Self::OnlyAllowed(Cause::PlainHttp),
            (Scheme::Https, Auth::IamRole(_)) if !place.endpoint.is_aws() => {
                Self::OnlyAllowed(Cause::RoleOutsideAws)
            }
            (Scheme::Https, Auth::IamRole(_) | Auth::AccessKeys) => Self::Public,
        }
    }
}

/// An address that a destination may not lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// The address is not a public one.
    #[error("{address} is {class}")]
    NotPublic {
        /// Where the endpoint leads.
        address: IpAddr,
        /// What kind of address it is.
        class: Class,
    },
    /// Plain http is allowed only where the operator says so.
    #[error("plain http is not allowed there")]
    PlainHttp,
    /// A role's credentials are for AWS.
    #[error("IAM roles work with AWS only")]
    RoleOutsideAws,
    /// Only allowed addresses would do, and the name leads to none at all.
    #[error("the host name does not resolve to an allowed address")]
    Unresolved(Cause),
}

/// Whether a connection to this address may be opened.
///
/// # Errors
/// Why not.
pub fn judge(allowed: &AllowedEndpoints, reach: Reach, address: IpAddr) -> Result<(), Forbidden> {
    if allowed.cover(address) {
        return Ok(());
    }
    match (reach, Class::of(address)) {
        (Reach::Public, Class::Public) => Ok(()),
        (Reach::OnlyAllowed(Cause::PlainHttp), Class::Public) => Err(Forbidden::PlainHttp),
        (Reach::OnlyAllowed(Cause::RoleOutsideAws), Class::Public) => Err(Forbidden::RoleOutsideAws),
        (_, class) => Err(Forbidden::NotPublic { address, class }),
    }
}

/// What kind of address one is, after the IANA special-purpose registries (RFC 6890 and its updates).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Routed on the internet.
    Public,
    /// `0.0.0.0/8`, `::`.
    Unspecified,
    /// `127.0.0.0/8`, `::1`.
    Loopback,
    /// RFC 1918.
    Private,
    /// `100.64.0.0/10`.
    CarrierNat,
    /// `169.254.0.0/16`, `fe80::/10`.
    LinkLocal,
    /// A cloud's metadata service.
    Metadata,
    /// `fc00::/7` and the older `fec0::/10`.
    UniqueLocal,
    /// `224.0.0.0/4`, `ff00::/8`.
    Multicast,
    /// Documentation, benchmarks, protocol assignments, future use.
    Reserved,
    /// `::ffff:0:0/96` and the older `::/96`.
    Ipv4Mapped,
    /// `64:ff9b::/96`, `64:ff9b:1::/48`.
    Nat64,
    /// `2002::/16` and its relays.
    SixToFour,
    /// `2001::/32`.
    Teredo,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "a public address",
            Self::Unspecified => "an unspecified address",
            Self::Loopback => "a loopback address",
            Self::Private => "a private address",
            Self::CarrierNat => "a carrier-grade NAT address",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "a cloud's metadata service",
            Self::UniqueLocal => "a unique-local address",
            Self::Multicast => "a multicast address",
            Self::Reserved => "a reserved address",
            Self::Ipv4Mapped => "an IPv4-mapped address",
            Self::Nat64 => "a NAT64 address",
            Self::SixToFour => "a 6to4 address",
            Self::Teredo => "a Teredo address",
        })
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(segments: [u16; 8], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::from_segments(segments), prefix)
}

/// First match wins, so the narrow ones come first.
const V4_CLASSES: &[(Ipv4Net, Class)] = &[
    // EC2, Google Compute Engine, Azure, OpenStack; ECS; Azure's wire server; Alibaba; Oracle.
    (v4(169, 254, 169, 254, 32), Class::Metadata),
    (v4(169, 254, 170, 2, 32), Class::Metadata),
    (v4(168, 63, 129, 16, 32), Class::Metadata),
    (v4(100, 100, 100, 200, 32), Class::Metadata),
    (v4(192, 0, 0, 192, 32), Class::Metadata),
    (v4(0, 0, 0, 0, 8), Class::Unspecified),
    (v4(10, 0, 0, 0, 8), Class::Private),
    (v4(100, 64, 0, 0, 10), Class::CarrierNat),
    (v4(127, 0, 0, 0, 8), Class::Loopback),
    (v4(169, 254, 0, 0, 16), Class::LinkLocal),
    (v4(172, 16, 0, 0, 12), Class::Private),
    (v4(192, 0, 0, 0, 24), Class::Reserved),
    (v4(192, 0, 2, 0, 24), Class::Reserved),
    (v4(192, 88, 99, 0, 24), Class::SixToFour),
    (v4(192, 168, 0, 0, 16), Class::Private),
    (v4(198, 18, 0, 0, 15), Class::Reserved),
    (v4(198, 51, 100, 0, 24), Class::Reserved),
    (v4(203, 0, 113, 0, 24), Class::Reserved),
    (v4(224, 0, 0, 0, 4), Class::Multicast),
    (v4(240, 0, 0, 0, 4), Class::Reserved),
];

/// First match wins; what is in none of them and not in `2000::/3` is reserved.
const V6_CLASSES: &[(Ipv6Net, Class)] = &[
    // EC2 (the metadata service, and the other services of Nitro instances) and Google Compute Engine.
    (v6([0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0], 32), Class::Metadata),
    (v6([0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0], 32), Class::Metadata),
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), Class::Unspecified),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), Class::Loopback),
    (v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96), Class::Ipv4Mapped),
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 96), Class::Ipv4Mapped),
    (v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96), Class::Nat64),
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), Class::Nat64),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), Class::UniqueLocal),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), Class::LinkLocal),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), Class::UniqueLocal),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), Class::Multicast),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), Class::Teredo),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), Class::Reserved),
    (v6([0x2001, 0x0db8, 0, 0, 0, 0, 0, 0], 32), Class::Reserved),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), Class::SixToFour),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), Class::Reserved),
    (v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3), Class::Public),
];

impl Class {
    /// The address's kind.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => V4_CLASSES
                .iter()
                .find(|(net, _)| net.contains(&address))
                .map_or(Self::Public, |&(_, class)| class),
            IpAddr::V6(address) => V6_CLASSES
                .iter()
                .find(|(net, _)| net.contains(&address))
                .map_or(Self::Reserved, |&(_, class)| class),
        }
    }
}

#[cfg(test)]
mod tests;
