//! What the parts of an agent share.

use rekindle_statemachine::ids::NodeId;
use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;

use crate::channel::carrier::Carriers;
use crate::leftovers::Records;
use crate::local_event::EventHook;
use crate::log::LogSink;
use crate::session::{Report, Setup};

/// What all parts of an agent share.
pub(crate) struct Host {
    pub(crate) setup: Setup,
    pub(crate) log: LogSink,
    pub(crate) hook: EventHook,
    pub(crate) records: Option<Records>,
    pub(crate) carriers: Carriers,
    pub(crate) reports: mpsc::Sender<Report>,
    pub(crate) leader: watch::Receiver<Option<NodeId>>,
    pub(crate) tasks: TaskTracker,
}
