//! A router that speaks UPnP.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::{get, post};
use http::StatusCode;
use tokio::net::{TcpListener, UdpSocket};

use super::{MAPPINGS, gateways};
use crate::gateway::*;

/// A router that speaks UPnP; it notes what it was asked to pass on.
pub(super) struct Fake {
    pub(super) discovery: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Willing,
    /// Knows mappings for good only.
    Permanent,
    /// Has its ports closed to strangers.
    Unwilling,
}

const SERVICE: &str = "urn:schemas-upnp-org:service:WANIPConnection:1";

impl Fake {
    pub(super) async fn start(address: &'static str, kind: Kind) -> Self {
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let device = format!(
            "<?xml version=\"1.0\"?><root xmlns=\"urn:schemas-upnp-org:device-1-0\"><device>\
             <deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><deviceList><device>\
             <deviceType>urn:schemas-upnp-org:device:WANDevice:1</deviceType><deviceList><device>\
             <deviceType>urn:schemas-upnp-org:device:WANConnectionDevice:1</deviceType><serviceList><service>\
             <serviceType>{SERVICE}</serviceType><controlURL>/control</controlURL><SCPDURL>/schema.xml</SCPDURL>\
             </service></serviceList></device></deviceList></device></deviceList></device></root>"
        );
        let noted = Arc::clone(&asked);
        let control = move |body: String| {
            let noted = Arc::clone(&noted);
            async move { answer(&body, address, kind, &noted) }
        };
        // The library sends what the schema names.
        let arguments = ["NewExternalPort", "NewProtocol", "NewInternalPort", "NewInternalClient", "NewLeaseDuration"];
        let argument = |name| format!("<argument><name>{name}</name><direction>in</direction></argument>");
        let schema = format!(
            "<?xml version=\"1.0\"?><scpd xmlns=\"urn:schemas-upnp-org:service-1-0\"><actionList><action>\
             <name>AddPortMapping</name><argumentList>{}</argumentList></action></actionList></scpd>",
            arguments.map(argument).concat()
        );
        let router = Router::new()
            .route("/device.xml", get(async move || device))
            .route("/schema.xml", get(async move || schema))
            .route("/control", post(control));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let location = format!("http://{}/device.xml", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, router).into_future());
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let discovery = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut packet = [0; 2048];
            while let Ok((length, from)) = socket.recv_from(&mut packet).await {
                assert!(packet[..length].starts_with(b"M-SEARCH * HTTP/1.1\r\n"));
                let answer = format!("HTTP/1.1 200 OK\r\nST: {SERVICE}\r\nLOCATION: {location}\r\n\r\n");
                socket.send_to(answer.as_bytes(), from).await.unwrap();
            }
        });
        Self { discovery, asked }
    }

    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(body: &str, address: &str, kind: Kind, noted: &Mutex<Vec<String>>) -> (StatusCode, String) {
    let field = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>")).unwrap();
        rest.split_once('<').unwrap().0.to_owned()
    };
    let envelope = |inner: String| {
        format!(
            "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>{inner}</s:Body></s:Envelope>"
        )
    };
    let fault = |code: u16, text: &str| {
        let inner = format!(
            "<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>\
             <UPnPError xmlns=\"urn:schemas-upnp-org:control-1-0\"><errorCode>{code}</errorCode>\
             <errorDescription>{text}</errorDescription></UPnPError></detail></s:Fault>"
        );
        (StatusCode::INTERNAL_SERVER_ERROR, envelope(inner))
    };
    if body.contains("GetExternalIPAddress") {
        let inner = format!(
            "<u:GetExternalIPAddressResponse xmlns:u=\"{SERVICE}\"><NewExternalIPAddress>{address}</NewExternalIPAddress>\
             </u:GetExternalIPAddressResponse>"
        );
        return (StatusCode::OK, envelope(inner));
    }
    let lease = field("NewLeaseDuration");
    noted.lock().unwrap().push(format!(
        "{} to {}:{} for {lease}",
        field("NewExternalPort"),
        field("NewInternalClient"),
        field("NewInternalPort")
    ));
    match kind {
        Kind::Unwilling => fault(606, "Action not authorized"),
        Kind::Permanent if lease != "0" => fault(725, "OnlyPermanentLeasesSupported"),
        Kind::Willing | Kind::Permanent => {
            (StatusCode::OK, envelope(format!("<u:AddPortMappingResponse xmlns:u=\"{SERVICE}\"></u:AddPortMappingResponse>")))
        }
    }
}

#[tokio::test]
async fn a_router_passes_ports_on_to_this_machine() {
    let router = Fake::start("203.0.114.7", Kind::Willing).await;
    assert_eq!(public_address(gateways(router.discovery, None)).await, Some("203.0.114.7".parse().unwrap()));
    assert_eq!(
        open(gateways(router.discovery, None), &MAPPINGS).await.unwrap(),
        Opened { address: "203.0.114.7".parse().unwrap(), by: Protocol::Upnp }
    );
    assert_eq!(router.asked(), ["443 to 127.0.0.1:8443 for 3600", "80 to 127.0.0.1:8080 for 3600"]);
}

#[tokio::test]
async fn a_router_that_knows_no_leases_gets_none() {
    let router = Fake::start("203.0.114.7", Kind::Permanent).await;
    open(gateways(router.discovery, None), &MAPPINGS[..1]).await.unwrap();
    assert_eq!(router.asked(), ["443 to 127.0.0.1:8443 for 3600", "443 to 127.0.0.1:8443 for 0"]);
}

#[tokio::test]
async fn what_a_router_refuses_is_told() {
    let router = Fake::start("203.0.114.7", Kind::Unwilling).await;
    let err = open(gateways(router.discovery, None), &MAPPINGS).await.unwrap_err();
    assert!(matches!(&err, GatewayError::Refused { port: 443, .. }), "{err}");
    assert!(err.to_string().contains("not authorized"), "{err}");
}

#[tokio::test]
async fn a_router_without_a_public_address_is_told() {
    for shared in ["100.70.1.2", "192.168.178.20"] {
        let router = Fake::start(shared, Kind::Willing).await;
        let err = open(gateways(router.discovery, None), &MAPPINGS).await.unwrap_err();
        assert!(matches!(&err, GatewayError::NotPublic(_)), "{err}");
        assert!(err.to_string().contains(shared), "{err}");
    }
}
