//! A nameserver for TXT records, and for addresses.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::TXT;
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use tokio::net::UdpSocket;

/// A nameserver; names that it was not given do not exist.
pub(crate) struct Dns {
    pub(crate) address: SocketAddr,
    texts: Arc<Mutex<HashMap<String, String>>>,
    asked: Arc<AtomicUsize>,
}

impl Dns {
    pub(crate) async fn start() -> Self {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let (texts, asked) = (Arc::<Mutex<HashMap<String, String>>>::default(), Arc::<AtomicUsize>::default());
        let (zone, counter) = (Arc::clone(&texts), Arc::clone(&asked));
        tokio::spawn(async move {
            let mut packet = [0; 4096];
            loop {
                let (len, from) = socket.recv_from(&mut packet).await.unwrap();
                let question = Message::from_vec(&packet[..len]).unwrap();
                counter.fetch_add(1, Ordering::SeqCst);
                let answer = answer(&zone.lock().unwrap(), &question);
                socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
            }
        });
        Self { address, texts, asked }
    }

    /// Puts a TXT record at a name; one that is an IPv4 address is an A record as well.
    pub(crate) fn set(&self, name: &str, text: &str) {
        self.texts.lock().unwrap().insert(format!("{name}."), text.to_owned());
    }

    /// Returns how many questions have come.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn answer(zone: &HashMap<String, String>, question: &Message) -> Message {
    let query = question.queries[0].clone();
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.metadata.recursion_desired = true;
    answer.metadata.recursion_available = true;
    answer.add_query(query.clone());
    match zone.get(&query.name().to_lowercase().to_string()) {
        Some(text) if query.query_type() == RecordType::TXT => {
            let data = RData::TXT(TXT::new(vec![text.clone()]));
            answer.add_answer(Record::from_rdata(query.name().clone(), 60, data));
        }
        Some(text) if query.query_type() == RecordType::A => {
            if let Ok(address) = text.parse::<Ipv4Addr>() {
                answer.add_answer(Record::from_rdata(query.name().clone(), 60, RData::A(address.into())));
            }
        }
        Some(_) => {}
        None => answer.metadata.response_code = ResponseCode::NXDomain,
    }
    answer
}
