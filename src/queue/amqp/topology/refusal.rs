//! What it means when a broker refuses to declare or to show an object, with the remedy.

use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};

use crate::queue::QueueError;
use crate::queue::amqp::connection::broker_error;

/// Says whether the broker refused with this: `PRECONDITION_FAILED` for what exists otherwise than declared, `NOT_FOUND`,
/// or `ACCESS_REFUSED`.
pub(in crate::queue::amqp) fn is_soft(error: &lapin::Error, kind: &AMQPSoftError) -> bool {
    let ErrorKind::ProtocolError(told) = error.kind() else { return false };
    matches!(told.kind(), AMQPErrorKind::Soft(told) if told == kind)
}

/// Words what a declaration, or a look, failed with.
pub(super) fn judge(object: &str, error: lapin::Error) -> QueueError {
    let ErrorKind::ProtocolError(told) = error.kind() else {
        return broker_error(format!("declare {object}"), error);
    };
    let remedy = match told.kind() {
        AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) => {
            "a broker never changes what exists: empty it, delete it (`rabbitmqctl delete_queue`, or the management \
             page), then run `takedown topology apply`; or use another prefix"
        }
        AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) => "run `takedown topology apply`",
        AMQPErrorKind::Soft(_) | AMQPErrorKind::Hard(_) => return broker_error(format!("declare {object}"), error),
    };
    differs(object, told.get_message().as_str(), remedy)
}

/// Words what the declaration of a stream failed with.
///
/// A broker upgraded from before 3.9 may have streams switched off, and says so by an internal error. One that started
/// a moment ago has its queues before its streams; a stream that exists is then "not found" until it is up.
pub(super) fn judge_stream(object: &str, error: lapin::Error) -> QueueError {
    let ErrorKind::ProtocolError(told) = error.kind() else { return judge(object, error) };
    match told.kind() {
        AMQPErrorKind::Hard(AMQPHardError::INTERNALERROR) => {
            let remedy = "run `rabbitmqctl enable_feature_flag stream_queue` (RabbitMQ 3.9 and later)";
            differs(object, told.get_message().as_str(), remedy)
        }
        AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) => {
            let action = format!(
                "reach {object}, which is not up on its nodes: wait for them; a stream that stays away is lost, and \
                 `rabbitmqctl delete_queue {object}` lets a new one be declared"
            );
            broker_error(action, error)
        }
        AMQPErrorKind::Soft(_) | AMQPErrorKind::Hard(_) => judge(object, error),
    }
}

fn differs(object: &str, problem: &str, remedy: &str) -> QueueError {
    QueueError::Topology { object: object.to_owned(), problem: problem.to_owned(), remedy: remedy.to_owned() }
}
