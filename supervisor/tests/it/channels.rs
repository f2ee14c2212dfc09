//! Messages between two agents.

use std::sync::Arc;
use std::time::Duration;

use rekindle_protocol::history::History;
use rekindle_protocol::image::Image;
use rekindle_protocol::recovery::policy::Mode;
use rekindle_statemachine::effect::Goal;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::host::{A, B, Host, acknowledged, finished, folder, gate, open_gate, order, position, run};
use crate::leader::Leader;
use crate::plan::image;

const LEASE: Duration = Duration::from_secs(30);
const MESSAGES: u64 = 400;

/// `rec Next { choice at A { m from A to B; continue Next; } or { end from A to B; } }`
fn stream() -> Image {
    image(
        "Stream",
        &["A", "B"],
        &[&[("1|2", &[("B!m", 0), ("B!end", 1)]), ("end", &[])], &[("1|2", &[("A?m", 0), ("A?end", 1)]), ("end", &[])]],
    )
}

/// Numbers up to [`MESSAGES`], then the end.
const SOURCE: &str = r#"
read start
i=0
while [ $i -lt 400 ]; do
  i=$((i+1))
  echo '{"type":"send","to":"B","label":"m","payload":'$i'}'
done
echo '{"type":"send","to":"B","label":"end"}'
"#;

/// Takes numbers in their order and nothing else; says when it has seen each hundredth.
const SINK: &str = r#"
read start
i=0
while :; do
  echo '{"type":"receive"}'
  read message || exit 1
  case "$message" in *'"label":"end"'*) [ $i -eq 400 ] && exit 0; exit 8;; esac
  i=$((i+1))
  case "$message" in *'"payload":'$i'}') ;; *) exit 9;; esac
  [ $((i % 100)) -eq 0 ] && echo "seen $i" >&2
done
"#;

/// Forwards connections, and cuts all of them on demand.
struct Cable {
    address: String,
    cuts: Arc<Semaphore>,
}

impl Cable {
    async fn to(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let cuts = Arc::new(Semaphore::new(0));
        let cut = Arc::clone(&cuts);
        tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let (mut near, target) = (accepted.unwrap().0, target.clone());
                        connections.spawn(async move {
                            let mut far = TcpStream::connect(target).await.unwrap();
                            drop(copy_bidirectional(&mut near, &mut far).await);
                        });
                    }
                    permit = cut.acquire() => {
                        permit.unwrap().forget();
                        connections.abort_all();
                    }
                }
            }
        });
        Cable { address, cuts }
    }

    fn cut(&self) {
        self.cuts.add_permits(1);
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_loses_and_doubles_nothing() {
    let leader = Leader::start(1, LEASE).await;
    let west = Host::start(&leader, "west").await;
    // Little may be under way, so that every cut meets messages of every kind.
    let small = |config: &mut rekindle_supervisor::AgentConfig| {
        config.limits.window_bytes = 2_000;
        config.limits.channel_bytes = 4_000;
    };
    let east = Host::with("east", &[&leader.address], Arc::clone(&west.folder), small).await;
    let cable = Cable::to(east.address.clone()).await;
    let mut plan = west.plan(stream(), Mode::Restart, &[("west", &west), ("east", &east)], &[SOURCE, SINK]);
    plan.places[1].address.clone_from(&cable.address);
    run(&leader, &["west", "east"], &mut plan).await;
    for hundred in [100, 200, 300] {
        east.logged(&format!("seen {hundred}")).await;
        cable.cut();
    }
    assert_eq!((finished(&leader, A).await, finished(&leader, B).await), (MESSAGES + 1, MESSAGES + 1));
    assert_eq!(leader.untaken(), []);
}

#[tokio::test]
async fn a_frozen_role_answers_while_its_channel_is_full() {
    for elsewhere in [false, true] {
        let leader = Leader::start(1, LEASE).await;
        let west_folder = folder();
        let small = |config: &mut rekindle_supervisor::AgentConfig| config.limits.channel_bytes = 3_000;
        let west = Host::with("west", &[&leader.address], Arc::clone(&west_folder), small).await;
        let east = Host::with("east", &[&leader.address], Arc::clone(&west_folder), small).await;
        gate(west_folder.path(), "gate");
        let gated = SINK.replace("read start", "read start; read go < gate");
        let second = if elsewhere { ("east", &east) } else { ("west", &west) };
        let agents: &[&str] = if elsewhere { &["west", "east"] } else { &["west"] };
        let mut plan = west.plan(stream(), Mode::Restart, &[("west", &west), second], &[SOURCE, &gated]);
        run(&leader, agents, &mut plan).await;

        // Its receiver receives nothing, so it gets stuck somewhere.
        let mut last = 0;
        loop {
            let freeze = plan.freeze(&[A]);
            order(&leader, agents, &freeze).await;
            let now = position(&leader, A).await;
            let go = plan.next(Goal::Run);
            order(&leader, agents, &go).await;
            if now > 0 && now == last {
                break;
            }
            last = now;
        }
        assert!(last < MESSAGES, "nothing held it back");
        open_gate(west_folder.path(), "gate").await;
        assert_eq!((finished(&leader, A).await, finished(&leader, B).await), (MESSAGES + 1, MESSAGES + 1));
    }
}

#[tokio::test]
async fn messages_of_before_a_restart_do_not_come_after_it() {
    let leader = Leader::start(1, LEASE).await;
    let west = Host::start(&leader, "west").await;
    let east = Host::with("east", &[&leader.address], Arc::clone(&west.folder), |_| {}).await;
    gate(west.folder.path(), "gate");
    // The first process of A sends something else than the second, and B looks at it only when A has restarted.
    let source = SOURCE.replace("read start", "read start\n[ $REKINDLE_INCARNATION -eq 1 ] && while :; do echo '{\"type\":\"send\",\"to\":\"B\",\"label\":\"m\",\"payload\":0}'; done");
    let gated = SINK.replace("read start", "read start; read go < gate");
    let cable = Cable::to(east.address.clone()).await;
    let mut plan = west.plan(stream(), Mode::Restart, &[("west", &west), ("east", &east)], &[&source, &gated]);
    plan.places[1].address.clone_from(&cable.address);
    run(&leader, &["west", "east"], &mut plan).await;
    cable.cut();
    let freeze = plan.freeze(&[A]);
    order(&leader, &["west", "east"], &freeze).await;
    position(&leader, A).await;

    let restore = plan.recover(&[(A, History::default(), 0)]);
    order(&leader, &["west", "east"], &restore).await;
    acknowledged(&leader, 1, &[A, B]).await;
    let go = plan.next(Goal::Run);
    order(&leader, &["west", "east"], &go).await;
    open_gate(west.folder.path(), "gate").await;
    assert_eq!((finished(&leader, A).await, finished(&leader, B).await), (MESSAGES + 1, MESSAGES + 1));
}
