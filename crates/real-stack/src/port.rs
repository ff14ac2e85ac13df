//! Free ports on the loopback address.

use std::net::{Ipv4Addr, TcpListener};

use crate::StackError;

/// A port that was free a moment ago. Another process may take it before ours does: see [`is_free`].
pub(crate) fn pick() -> Result<u16, StackError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .map_err(StackError::io("bind a port of 127.0.0.1"))?;
    Ok(listener
        .local_addr()
        .map_err(StackError::io("read a port back"))?
        .port())
}

/// Whether nobody listens there.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_listened_on_is_not_free() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!is_free(listener.local_addr().unwrap().port()));
    }

    #[test]
    fn a_picked_port_can_be_bound() {
        // Another test may be handed the same port in between: any one of a few is enough.
        assert!((0..5).any(|_| is_free(pick().unwrap())));
    }
}
