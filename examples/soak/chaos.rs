//! Faults of the backend, and operators.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use crate::backend::{Backend, FAULTS, Fault};
use crate::clients::Scene;
use crate::dice::Dice;
use crate::ledger::Ledger;
use crate::settings::PROBE_TIMEOUT;

/// Changes how the backend behaves until the given time. At the end the backend is running, and hangs.
pub(crate) async fn faults(
    backend: &mut Backend,
    until: Instant,
    mut dice: Dice,
) -> io::Result<()> {
    while Instant::now() < until {
        match dice.number(0..10) {
            0..3 => backend.misbehave(Fault::None),
            3..9 => backend.misbehave(dice.choose(&FAULTS)),
            _ => {
                backend.stop().await?;
                tokio::time::sleep(dice.millis(0..300)).await;
                backend.start()?;
            }
        }
        tokio::time::sleep(dice.millis(50..400)).await;
    }
    backend.misbehave(Fault::Hang);
    tokio::time::sleep(PROBE_TIMEOUT).await;
    Ok(())
}

/// Operates a circuit. A forced state does not outlast the function.
pub(crate) async fn operator(scene: Arc<Scene>, ledger: Arc<Ledger>, mut dice: Dice) {
    let breaker = ledger.breaker();
    while scene.wild.load(Ordering::Relaxed) {
        tokio::time::sleep(dice.millis(200..1500)).await;
        match dice.number(0..4) {
            0 => breaker.trip(),
            1 => breaker.reset(),
            switch => {
                if switch == 2 {
                    breaker.force_open();
                } else {
                    breaker.force_closed();
                }
                tokio::time::sleep(dice.millis(30..200)).await;
                breaker.resume();
            }
        }
    }
}
