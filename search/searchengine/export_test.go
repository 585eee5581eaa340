package searchengine

// MaintainOften makes snapshots and compactions happen after a few writes already.
func (e *Engine) MaintainOften() {
	e.snapshotEvery, e.compactFrom = 20_000, 200
}

// WaitForMaintenance waits until nothing goes on in the background of an index.
func (e *Engine) WaitForMaintenance(name string) {
	e.mu.RLock()
	x := e.indexes[name]
	e.mu.RUnlock()
	x.background.Wait()
}

// Rows returns how many numbers of documents an index has given out.
func (e *Engine) Rows(name string) int {
	e.mu.RLock()
	x := e.indexes[name]
	e.mu.RUnlock()
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.state.rows()
}
